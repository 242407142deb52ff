/**
 * Reads the head of an Arrow message, and checks it before flechette does, which trusts every offset
 * and count in it: with broken ones it would run on for hours or fill the memory. Below arrow.ts.
 *
 * Source: the FlatBuffers binary format; Arrow's Message.fbs and Schema.fbs, whose numbers of fields
 * these are.
 */

/** What a field of a table points at; scalars need no check. */
type Target =
  /** Items of so many bytes each; a text's are 1. */
  | { readonly itemBytes: number }
  /** A table of the kind that the scalar field before it tells. */
  | { readonly kinds: Readonly<Record<number, Table>> }
  | { readonly table: () => Table; readonly isList?: boolean };

/** A table's fields that point at something, by their numbers. */
type Table = Readonly<Record<number, Target>>;

const TEXT: Target = { itemBytes: 1 };
const KEY_VALUE: Table = { 0: TEXT, 1: TEXT };
const KEY_VALUES: Target = { table: () => KEY_VALUE, isList: true };
const SCALARS: Table = {};
/** Types that hold more than scalars, by their numbers: times, and unions. */
const TYPES: Readonly<Record<number, Table>> = { 10: { 1: TEXT }, 14: { 1: { itemBytes: 4 } } };
const DICTIONARY: Table = { 1: { table: () => SCALARS } };
const FIELD: Table = {
  0: TEXT,
  3: { kinds: TYPES },
  4: { table: () => DICTIONARY },
  5: { table: () => FIELD, isList: true },
  6: KEY_VALUES,
};
const SCHEMA: Table = { 1: { table: () => FIELD, isList: true }, 2: KEY_VALUES };
const RECORD_BATCH: Table = {
  1: { itemBytes: 16 },
  2: { itemBytes: 16 },
  3: { table: () => SCALARS },
  4: { itemBytes: 8 },
};
const DICTIONARY_BATCH: Table = { 1: { table: () => RECORD_BATCH } };
const VERSION_5 = 4;
const SCHEMA_TYPE = 1;
/** By the number of the header's type. */
const HEADERS: Readonly<Record<number, Table>> = {
  1: SCHEMA,
  2: DICTIONARY_BATCH,
  3: RECORD_BATCH,
};

/** A piece of a message's body. */
interface Region {
  readonly offset: number;
  readonly length: number;
}

/** What a message's head says. */
export interface MessageHead {
  readonly kind: "schema" | "dictionary" | "batch";
  readonly bodyBytes: number;
  /** Of a dictionary: which one, and whether it goes on with what was there of it. */
  readonly id?: number;
  readonly isDelta?: boolean;
  /** Of batches and dictionaries. */
  readonly rows: number;
  /** Numbers of values of all columns and what is in them. */
  readonly counts: readonly number[];
  readonly buffers: readonly Region[];
  readonly isPacked: boolean;
}

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
      else if ("kinds" in target) {
        const scalar = fieldOffset(this.#view, table, Number(field) - 1);
        const type = scalar === 0 ? 0 : this.#view.getUint8(table + scalar);
        this.check(place, target.kinds[type] ?? SCALARS);
      } else if (!target.isList) this.check(place, target.table());
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

  #field(table: number, field: number): number | undefined {
    const offset = fieldOffset(this.#view, table, field);
    return offset === 0 ? undefined : table + offset;
  }

  /** A scalar of 8 bytes. */
  #long(place: number | undefined): number {
    return place === undefined ? 0 : Number(this.#view.getBigInt64(place, true));
  }

  /** Of a list of items of so many bytes, the first and the second 8 of each. */
  #pairs(table: number, field: number, itemBytes: number = 16): [number, number][] {
    const at = this.#field(table, field);
    if (at === undefined) return [];
    const place = this.#follow(at);
    return Array.from({ length: this.#count(place, itemBytes) }, (_, item) => {
      const pair = place + 4 + itemBytes * item;
      return [this.#long(pair), this.#long(pair + 8)];
    });
  }

  /** Of a footer: where its schema is in it, and where dictionaries and batches begin in the file. */
  footer(): { schema: number; dictionaries: number[]; batches: number[] } {
    const table = this.#follow(0);
    const schema = this.#field(table, 1);
    if (schema === undefined) throw new Error("a footer without a schema");
    const starts = (field: number) => this.#pairs(table, field, 24).map(([start]) => start);
    return { schema: this.#follow(schema), dictionaries: starts(2), batches: starts(3) };
  }

  message(): MessageHead {
    const table = this.#follow(0);
    const typePlace = this.#field(table, 1);
    const type = typePlace === undefined ? 0 : this.#view.getUint8(typePlace);
    const kind = HEADERS[type];
    const headerPlace = this.#field(table, 2);
    if (!kind || headerPlace === undefined) throw new Error(`a message of type ${type}`);
    this.check(table, { 2: { table: () => kind }, 4: KEY_VALUES });
    const header = this.#follow(headerPlace);
    const bodyBytes = this.#long(this.#field(table, 3));
    if (type === SCHEMA_TYPE) return { kind: "schema", bodyBytes, ...NO_BATCH };
    if (type === 3) return { kind: "batch", bodyBytes, ...this.#batch(header) };
    const data = this.#field(header, 1);
    if (data === undefined) throw new Error("a dictionary without values");
    const id = this.#long(this.#field(header, 0));
    const delta = this.#field(header, 2);
    const isDelta = delta !== undefined && this.#view.getUint8(delta) !== 0;
    return { kind: "dictionary", bodyBytes, id, isDelta, ...this.#batch(this.#follow(data)) };
  }

  #batch(table: number) {
    return {
      rows: this.#long(this.#field(table, 0)),
      counts: this.#pairs(table, 1).map(([count]) => count),
      buffers: this.#pairs(table, 2).map(([offset, length]) => ({ offset, length })),
      isPacked: this.#field(table, 3) !== undefined,
    };
  }
}

const NO_BATCH = { rows: 0, counts: [], buffers: [], isPacked: false };

/**
 * Checks that all offsets and counts in a message's head stay in it.
 *
 * @returns what it says
 * @throws {Error} when one does not
 */
export function readHead(head: Uint8Array): MessageHead {
  return new Checker(head).message();
}

/** What a file's footer says. */
export interface Footer {
  /** The schema as the head of a message. */
  readonly schema: Uint8Array;
  /** Where dictionaries are in the file, and batches. */
  readonly dictionaries: readonly number[];
  readonly batches: readonly number[];
}

/** The bytes of a message's head in front of the footer that its schema is in. */
const FRAME_BYTES = 32;

/**
 * Reads the footer of a file.
 *
 * @throws {Error} when an offset or count in it leads out of it
 */
export function readFooter(footer: Uint8Array): Footer {
  const { schema: place, dictionaries, batches } = new Checker(footer).footer();
  const schema = new Uint8Array(FRAME_BYTES + Math.ceil(footer.length / 8) * 8);
  const view = new DataView(schema.buffer);
  // A table at 16 with its description at 4: the version at 8 of it, the type at 10, the header at 4.
  view.setUint32(0, 16, true);
  [10, 12, 8, 10, 4].forEach((value, at) => view.setUint16(4 + 2 * at, value, true));
  view.setInt32(16, 12, true);
  view.setUint32(20, FRAME_BYTES + place - 20, true);
  view.setUint16(24, VERSION_5, true);
  view.setUint8(26, SCHEMA_TYPE);
  schema.set(footer, FRAME_BYTES);
  readHead(schema);
  return { schema, dictionaries, batches };
}
