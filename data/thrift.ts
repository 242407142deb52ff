/**
 * Thrift's compact protocol, in which Parquet files keep their metadata: walked over without being
 * built up. Below parquet_check.ts.
 *
 * Source: Apache Thrift, "Thrift Compact protocol encoding".
 */

/** Kinds of values in Thrift's compact protocol. */
const TRUE = 1;
const BYTE = 3;
const DOUBLE = 7;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;
const DEEPEST = 32;

/** Walks over Thrift's structs, and refuses lists and texts that are longer than what is left. */
export class ThriftWalker {
  readonly #bytes: Uint8Array;
  /** The next byte to be read. */
  offset: number;

  /** Begins at `offset`. */
  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  #byte(): number {
    const byte = this.#bytes[this.offset++];
    if (byte === undefined) throw new Error("an end within its metadata");
    return byte;
  }

  #number(): number {
    let value = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      if (scale > 2 ** 63) throw new Error("a number without an end in its metadata");
    }
  }

  /** A length, of something of which each item takes a byte at least. */
  #length(): number {
    const length = this.#number();
    const left = this.#bytes.length - this.offset;
    if (length > left) throw new Error(`a list or text of ${length} items in ${left} bytes`);
    return length;
  }

  #value(type: number, depth: number): number {
    if (type < BYTE) return type === TRUE ? 1 : 0; // booleans are in their type
    if (type > STRUCT) throw new Error(`metadata of type ${type}`);
    if (type === STRUCT) this.struct(() => {}, depth + 1);
    else if (type === LIST) this.#list(depth);
    else if (type === BINARY) this.#skipText();
    else if (type === DOUBLE) this.offset += 8;
    else if (type === BYTE) this.offset++;
    else {
      const zigzag = this.#number();
      return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    }
    return 0;
  }

  #skipText(): void {
    const length = this.#length(); // moves on by itself
    this.offset += length;
  }

  #list(depth: number): void {
    const head = this.#byte();
    const type = head & 15;
    const length = head >> 4 === 15 ? this.#length() : head >> 4;
    // In a list, a boolean is a byte.
    for (let item = 0; item < length; item++) this.#value(type < BYTE ? BYTE : type, depth);
  }

  /**
   * Tells `take` each field's number with its value, where it is a whole number or true (1) or false
   * (0); the fields of a struct in it have 100 times its number added to their own.
   */
  struct(take: (field: number, value: number) => void, depth: number = 0): void {
    if (depth > DEEPEST) throw new Error("structs in structs in its metadata");
    let field = 0;
    while (true) {
      const head = this.#byte();
      if (head === 0) return;
      const type = head & 15;
      field = head >> 4 ? field + (head >> 4) : this.#value(5, depth);
      if (type === STRUCT) {
        const outer = 100 * field;
        this.struct((inner, value) => take(outer + inner, value), depth + 1);
      } else take(field, this.#value(type, depth));
    }
  }
}
