// Gradient checks, seeded inputs and tolerances for tests of numbers.
// Sits beside tests/reference/: it checks the float64 references there, and those check the kernels.
// Source: central differences as in torch.autograd.gradcheck; the bound is the style guide's rule 21
// (Higham 2002, section 3.1, with √K for the usual random walk of rounding errors).

/** Settings of {@linkcode gradcheck}. */
export interface GradcheckOptions {
  /** Half the distance of the two points of a difference. */
  h?: number;
  /** Largest error, relative to the largest entry of that input's gradient. */
  relative?: number;
  /** Seed of dy. */
  seed?: number;
}

/** Arrays of float32-representable numbers, so that reference and kernel see the same inputs. */
export interface SeededRandom {
  /** Evenly spread in [low, high), by default [-1, 1). */
  uniform(length: number, low?: number, high?: number): Float64Array;
  /** Normal with mean 0 and the given deviation, by default 1. */
  normal(length: number, deviation?: number): Float64Array;
  /** Integers in 0 .. below-1. */
  integers(length: number, below: number): Int32Array;
}

/**
 * Checks a backward function against central differences of Σ dy · f(inputs), dy random, for every
 * element of every input. The gradient of input `x` is named `dx`.
 *
 * @throws {Error} when an element is off, or a gradient is 0 everywhere, so that nothing was checked.
 */
export function gradcheck<Name extends string>(
  f: (inputs: Record<Name, Float64Array>) => Float64Array,
  backward: (
    inputs: Record<Name, Float64Array>,
    dy: Float64Array,
  ) => Record<`d${Name}`, Float64Array>,
  inputs: Record<Name, Float64Array>,
  { h = 1e-5, relative = 1e-6, seed = 1 }: GradcheckOptions = {},
): void {
  const dy = seededRandom(seed).normal(f(inputs).length);
  const gradients = backward(inputs, dy);
  for (const name of Object.keys(inputs) as Name[]) {
    const analytic = gradients[`d${name}`];
    const numeric = centralDifferences(
      (x) => f({ ...inputs, [name]: x }),
      inputs[name],
      { dy, h },
    );
    const largest = numeric.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    if (largest === 0) {
      throw new Error(
        `Cannot check d${name}: found a gradient of 0 everywhere, expected one that is not. ` +
          `Choose other inputs.`,
      );
    }
    assertClose(analytic, numeric, {
      tolerance: relative * largest,
      name: `d${name}`,
    });
  }
}

/** d(Σ dy · f(x)) / dx, one element at a time. */
function centralDifferences(
  f: (x: Float64Array) => Float64Array,
  x: Float64Array,
  { dy, h }: { dy: Float64Array; h: number },
): Float64Array {
  return x.map((value, i) => {
    const above = f(x.with(i, value + h));
    const below = f(x.with(i, value - h));
    return dy.reduce((sum, d, j) => sum + d * (above[j]! - below[j]!), 0) /
      (2 * h);
  });
}

/** A generator of test inputs: the same seed gives the same arrays. */
export function seededRandom(seed: number): SeededRandom {
  const next = mulberry32(seed);
  return {
    uniform: (length, low = -1, high = 1) =>
      new Float64Array(length).map(() => Math.fround(low + (high - low) * next())),
    normal: (length, deviation = 1) =>
      new Float64Array(length).map(() => {
        const radius = Math.sqrt(-2 * Math.log(1 - next()));
        return Math.fround(deviation * radius * Math.cos(2 * Math.PI * next()));
      }),
    integers: (length, below) => new Int32Array(length).map(() => Math.floor(next() * below)),
  };
}

/** Tommy Ettinger's Mulberry32: numbers in [0, 1) with 32 random bits. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Throws unless every |actual - expected| is within the tolerance: one number, or one an element.
 * Equal infinities pass; NaN never does.
 *
 * @throws {TypeError} when the arrays are empty or their lengths differ.
 * @throws {Error} naming the worst element, what it is, what it should be, and by how much it is over.
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: Float64Array,
  { tolerance, name = "values" }: {
    tolerance: number | Float64Array;
    name?: string;
  },
): void {
  const lengths = typeof tolerance === "number"
    ? [expected.length]
    : [expected.length, tolerance.length];
  if (
    actual.length === 0 || lengths.some((length) => length !== actual.length)
  ) {
    throw new TypeError(
      `Cannot compare ${name}: found ${actual.length} elements, expected ${
        lengths.join(" and ")
      }, ` +
        `at least one. Check the shapes.`,
    );
  }
  const worst = { ratio: 0, index: -1, failures: 0 };
  expected.forEach((want, i) => {
    const allowed = typeof tolerance === "number" ? tolerance : tolerance[i]!;
    const got = actual[i]!;
    if (got === want || Math.abs(got - want) <= allowed) return;
    const quotient = Math.abs(got - want) / allowed;
    const ratio = Number.isNaN(quotient) ? Infinity : quotient;
    worst.failures++;
    if (ratio > worst.ratio) Object.assign(worst, { ratio, index: i });
  });
  if (worst.failures === 0) return;
  throw new Error(
    `Cannot accept ${name}: found ${worst.failures} of ${actual.length} elements off; the worst, ` +
      `[${worst.index}], is ${actual[worst.index]}, expected ${expected[worst.index]}; ` +
      `error / tolerance is ${worst.ratio.toPrecision(3)}.`,
  );
}

/**
 * The error allowed to a float32 reduction of length K: 16 · 2⁻²⁴ · √K · Σ|terms|, element by element.
 */
export function matmulBound(K: number, absSum: Float64Array): Float64Array {
  return absSum.map((sum) => 16 * 2 ** -24 * Math.sqrt(K) * sum);
}
