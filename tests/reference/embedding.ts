// Token lookup and the scattering of image rows into their placeholders, float64: the decoder's input.
// Source: torch.nn.Embedding in nanoVLM v0.1 models/language_model.py; placeholders as in its later versions.

import { expectLength } from "./arrays.ts";

/** The table (V, C), and the rows (T, C) that an id of -1 leaves alone (zeros when absent). */
export interface EmbeddingInputs {
  table: Float64Array;
  base?: Float64Array;
}

/** One id a row, each in -1 .. V-1, and the width C. */
export interface EmbeddingOptions {
  ids: Int32Array;
  C: number;
}

/** The rows (T, C) written into, and the image rows (rows.length, C). */
export interface ScatterRowsInputs {
  base: Float64Array;
  image: Float64Array;
}

/** Where each image row goes (distinct row numbers), and the width C. */
export interface ScatterRowsOptions {
  rows: Int32Array;
  C: number;
}

/**
 * y[r] = table[ids[r]], or base[r] where the id is -1: (T, C).
 *
 * @throws {TypeError} when base does not fit the ids.
 * @throws {RangeError} when an id is outside -1 .. V-1.
 */
export function embedding(
  { table, base }: EmbeddingInputs,
  options: EmbeddingOptions,
): Float64Array {
  const { ids, C } = options;
  if (base) expectLength("base", base, ids.length * C);
  checkIndices("id", ids, { from: -1, below: table.length / C });
  const y = base ? base.slice() : new Float64Array(ids.length * C);
  ids.forEach((id, r) => {
    if (id >= 0) y.set(table.subarray(id * C, (id + 1) * C), r * C);
  });
  return y;
}

/**
 * dtable[ids[r]] += dy[r], and dbase = dy where the id is -1 and 0 elsewhere. Given |dy| it is its
 * own Σ|terms|; K for the bound is the number of times an id occurs.
 *
 * @throws {TypeError} when dy does not fit the ids.
 * @throws {RangeError} when an id is outside -1 .. V-1.
 */
export function embeddingBackward(
  { table }: EmbeddingInputs,
  dy: Float64Array,
  { ids, C }: EmbeddingOptions,
): { dtable: Float64Array; dbase: Float64Array } {
  expectLength("dy", dy, ids.length * C);
  checkIndices("id", ids, { from: -1, below: table.length / C });
  const dtable = new Float64Array(table.length);
  const dbase = new Float64Array(dy.length);
  ids.forEach((id, r) => {
    for (let c = 0; c < C; c++) {
      if (id >= 0) dtable[id * C + c]! += dy[r * C + c]!;
      else dbase[r * C + c] = dy[r * C + c]!;
    }
  });
  return { dtable, dbase };
}

/**
 * y = base with y[rows[k]] = image[k]: (T, C).
 *
 * @throws {TypeError} when image does not fit the row numbers.
 * @throws {RangeError} when a row number is outside base or named twice.
 */
export function scatterRows(
  { base, image }: ScatterRowsInputs,
  options: ScatterRowsOptions,
): Float64Array {
  const { rows, C } = options;
  checkRows({ base, image }, options);
  const y = base.slice();
  rows.forEach((row, k) => y.set(image.subarray(k * C, (k + 1) * C), row * C));
  return y;
}

/**
 * dimage[k] = dy[rows[k]]; dbase = dy, with 0 in the rows written over.
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a row number is outside base or named twice.
 */
export function scatterRowsBackward(
  inputs: ScatterRowsInputs,
  dy: Float64Array,
  options: ScatterRowsOptions,
): { dbase: Float64Array; dimage: Float64Array } {
  const { rows, C } = options;
  checkRows(inputs, options);
  expectLength("dy", dy, inputs.base.length);
  const dbase = dy.slice();
  const dimage = new Float64Array(inputs.image.length);
  rows.forEach((row, k) => {
    dimage.set(dy.subarray(row * C, (row + 1) * C), k * C);
    dbase.fill(0, row * C, (row + 1) * C);
  });
  return { dbase, dimage };
}

function checkRows(
  { base, image }: ScatterRowsInputs,
  { rows, C }: ScatterRowsOptions,
): void {
  expectLength("image", image, rows.length * C);
  checkIndices("row", rows, { from: 0, below: base.length / C });
  if (new Set(rows).size !== rows.length) {
    throw new RangeError(
      `Cannot scatter image rows: found a row named twice in [${rows}], expected distinct ones. ` +
        `Give every image row its own placeholder.`,
    );
  }
}

function checkIndices(
  name: string,
  indices: Int32Array,
  limits: { from: number; below: number },
): void {
  const wrong = indices.find((index) => index < limits.from || index >= limits.below);
  if (wrong !== undefined) {
    throw new RangeError(
      `Cannot look up ${name} ${wrong}: found it outside the table, expected ${limits.from} .. ` +
        `${limits.below - 1}. Check the ${name}s.`,
    );
  }
}
