/**
 * Checks the head of an Arrow message before apache-arrow decodes it, which trusts every offset and
 * count in it: with broken ones it would run on for hours or fill the memory. Below arrow.ts.
 *
 * Source: the FlatBuffers binary format; Arrow's Message.fbs and Schema.fbs, whose numbers of fields
 * these are.
 */

/** What a field of a table points at; scalars need no check. */
type Target =
  /** Items of so many bytes each; a text's are 1. */
  | { readonly itemBytes: number }
  | { readonly table: () => Table; readonly isList?: boolean };

/** A table's fields that point at something, by their numbers. */
type Table = Readonly<Record<number, Target>>;

const TEXT: Target = { itemBytes: 1 };
const KEY_VALUE: Table = { 0: TEXT, 1: TEXT };
const KEY_VALUES: Target = { table: () => KEY_VALUE, isList: true };
/** Types hold little: at most a time zone or a list of numbers, whose places their readers check. */
const TYPE: Table = {};
const DICTIONARY: Table = { 1: { table: () => TYPE } };
const FIELD: Table = {
  0: TEXT,
  3: { table: () => TYPE },
  4: { table: () => DICTIONARY },
  5: { table: () => FIELD, isList: true },
  6: KEY_VALUES,
};
const SCHEMA: Table = { 1: { table: () => FIELD, isList: true }, 2: KEY_VALUES };
const RECORD_BATCH: Table = {
  1: { itemBytes: 16 },
  2: { itemBytes: 16 },
  3: { table: () => TYPE },
  4: { itemBytes: 8 },
};
const DICTIONARY_BATCH: Table = { 1: { table: () => RECORD_BATCH } };
/** By the number of the header's type. */
const HEADERS = [TYPE, SCHEMA, DICTIONARY_BATCH, RECORD_BATCH];

/** Where a field is, in bytes before the table's own; 0 where it is left out. */
function fieldOffset(view: DataView, table: number, field: number): number {
  const vtable = table - view.getInt32(table, true);
  const place = 4 + 2 * field;
  if (place + 2 > view.getUint16(vtable, true)) return 0;
  return view.getUint16(vtable + place, true);
}

/** Checks tables and lists from one place on; reading outside throws by itself. */
class Checker {
  readonly #view: DataView;
  /** Tables that may still come: no more than there is room for. */
  #left: number;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#left = bytes.byteLength / 4;
  }

  /** Where an offset leads. */
  #follow(place: number): number {
    return place + this.#view.getUint32(place, true);
  }

  check(table: number, kind: Table): void {
    if (this.#left-- <= 0) throw new Error("more tables than there is room for");
    for (const [field, target] of Object.entries(kind)) {
      const offset = fieldOffset(this.#view, table, Number(field));
      if (offset === 0) continue;
      const place = this.#follow(table + offset);
      if ("itemBytes" in target) this.#count(place, target.itemBytes);
      else if (!target.isList) this.check(place, target.table());
      else {
        const count = this.#count(place, 4);
        for (let item = 0; item < count; item++) {
          this.check(this.#follow(place + 4 + 4 * item), target.table());
        }
      }
    }
  }

  /** The number of items of a list, all of which are there. */
  #count(place: number, itemBytes: number): number {
    const count = this.#view.getUint32(place, true);
    const end = place + 4 + count * itemBytes;
    if (end > this.#view.byteLength) throw new Error(`a list of ${count} items up to byte ${end}`);
    return count;
  }

  message(): void {
    const table = this.#follow(0);
    const typeOffset = fieldOffset(this.#view, table, 1);
    const type = typeOffset === 0 ? 0 : this.#view.getUint8(table + typeOffset);
    const header = HEADERS[type];
    if (!header) throw new Error(`a message of type ${type}`);
    this.check(table, { 2: { table: () => header }, 4: KEY_VALUES });
  }
}

/**
 * Checks that all offsets and counts in a message's head stay in it.
 *
 * @throws {Error} when one does not
 */
export function checkMessage(head: Uint8Array): void {
  new Checker(head).message();
}
