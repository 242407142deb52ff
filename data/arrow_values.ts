/**
 * The values of an Arrow batch as plain lists and objects; and, before they are made, how much they
 * are when written out, since flechette trusts every offset. Below arrow.ts.
 *
 * Source: the Arrow columnar format, "Physical Memory Layout".
 */
import { Batch, Column, type DataType, Type } from "@uwdata/flechette";
import { decimalText, timeText } from "./number_texts.ts";
import { checkCount, checkExpanded } from "./record_limits.ts";

/** What a batch has besides its public fields, by its type. */
interface Parts {
  /** Buffers of a view's texts. */
  readonly data?: readonly Uint8Array[];
}

/** What each value weighs: 1 for itself, and what is in it; undefined where all weigh 1. */
type Weights = Float64Array | undefined;

/** Sums of the weights before each place, and of all. */
function sums(weights: Weights, length: number): Float64Array {
  const before = new Float64Array(length + 1);
  for (let at = 0; at < length; at++) before[at + 1] = (before[at] ?? 0) + (weights?.[at] ?? 1);
  return before;
}

/** Weights of values that are ranges of something. */
function rangeWeights(
  length: number,
  inner: Float64Array | undefined,
  range: (at: number) => readonly [start: number, end: number],
): Float64Array {
  return Float64Array.from({ length }, (_, at) => {
    const [start, end] = range(at);
    const weight = inner ? (inner[end] ?? NaN) - (inner[start] ?? NaN) : end - start;
    if (!(start >= 0 && start <= end && weight >= 0)) {
      throw new Error(`a value from place ${start} to ${end}`);
    }
    return 1 + weight;
  });
}

/** Weights of values that follow one another in runs. */
function runWeights(length: number, ends: ArrayLike<number | bigint>, inner: Weights) {
  const weights = new Float64Array(length);
  let at = 0;
  for (let run = 0; run < ends.length; run++) {
    for (const end = Number(ends[run]); at < end && at < length; at++) {
      weights[at] = inner?.[run] ?? 1;
    }
  }
  return weights;
}

/** Adds what is in the children of a struct or union. */
function childWeights({ length, children, offsets }: Batch<unknown>): Float64Array {
  const weights = new Float64Array(length).fill(1);
  for (const child of children) {
    const inner = weigh(child);
    for (let at = 0; at < length; at++) {
      const place = offsets ? Number(offsets[at]) : at;
      weights[at] = (weights[at] ?? 0) + (inner ? inner[place] ?? 0 : 1);
    }
  }
  return weights;
}

/** @throws {Error} when a value refers to what is not there */
function weigh(batch: Batch<unknown>): Weights {
  const { length, type, offsets, sizes, children, values } = batch;
  const offset = (at: number) => Number(offsets[at]);
  if (offsets || children?.length > 0) checkCount(length, bytesOf(batch) / 8, "values");
  switch (type.typeId) {
    case Type.Utf8:
    case Type.LargeUtf8:
      return rangeWeights(length, undefined, (at) => [offset(at), offset(at + 1)]);
    case Type.Utf8View: {
      const views = new DataView(values.buffer, values.byteOffset, values.byteLength);
      return rangeWeights(length, undefined, (at) => [0, views.getUint32(16 * at, true)]);
    }
    case Type.Struct:
    case Type.Union:
      return childWeights(batch);
  }
  const [child, second] = children ?? [];
  if (!child) return undefined;
  if (type.typeId === Type.RunEndEncoded) {
    return second && runWeights(length, child.values as ArrayLike<number>, weigh(second));
  }
  const inner = sums(weigh(child), child.length);
  if (type.typeId === Type.FixedSizeList) {
    return rangeWeights(length, inner, (at) => [at * type.stride, (at + 1) * type.stride]);
  }
  const end = (at: number) => sizes ? offset(at) + Number(sizes[at]) : offset(at + 1);
  return rangeWeights(length, inner, (at) => [offset(at), end(at)]);
}

function bytesOf(batch: Batch<unknown> & Parts): number {
  const { values, offsets, sizes, data = [], children = [] } = batch;
  const buffers = [values, offsets, sizes, ...data];
  const own = buffers.reduce((sum, buffer) => sum + (buffer?.byteLength ?? 0), 0);
  return children.reduce((sum, child) => sum + bytesOf(child), own);
}

/**
 * Checks that the values of a batch are there, and not too much.
 *
 * @throws {Error} when one is not
 */
export function checkValues(batch: Batch<unknown>): void {
  const total = sums(weigh(batch), batch.length).at(-1) ?? 0;
  checkExpanded(total, bytesOf(batch));
}

/** What makes a text of a type's values; undefined where they are not numbers of a kind of their own. */
function toText(type: DataType): ((value: bigint) => string) | undefined {
  if (type.typeId === Type.Decimal) return (value) => decimalText(value, type.scale);
  if (type.typeId !== Type.Time) return undefined;
  const perSecond = 10n ** BigInt(3 * type.unit);
  return (value) => timeText(value, perSecond);
}

/** Makes a batch, and those in it, give decimal numbers and times as texts. */
export function giveTexts(batch: Batch<unknown>): void {
  batch.children?.forEach(giveTexts);
  const text = toText(batch.type);
  if (!text) return;
  const value = batch.value.bind(batch);
  batch.value = (at) => text(BigInt(value(at) as number | bigint));
  batch.slice = Batch.prototype.slice; // some kinds give slices of the numbers themselves
}

// Flechette decodes dictionaries before it lets anyone see them: this is the only place to check.
const decodeDictionary = Column.prototype.cache;
Column.prototype.cache = function () {
  this.data.forEach(checkValues);
  this.data.forEach(giveTexts);
  return decodeDictionary.call(this);
};

/**
 * A value as plain lists and objects; Uint8Array, Date and what is no object stay.
 *
 * @param known what was made plain before: values of dictionaries come many times
 * @throws {Error} when a value is not there
 */
export function toPlain(value: unknown, known: WeakMap<object, unknown>): unknown {
  if (value === undefined) throw new Error("a value that is not there");
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array || value instanceof Date) return value;
  let plain = known.get(value);
  if (plain === undefined) {
    const isList = Array.isArray(value) || ArrayBuffer.isView(value);
    plain = isList
      ? Array.from(value as ArrayLike<unknown>, (item) => toPlain(item, known))
      : Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toPlain(one, known)]));
    known.set(value, plain);
  }
  return plain;
}
