/**
 * The flags that say how datasets are read: which columns, how much of each source, from where.
 *
 * Part of the flags of train.ts; eval.ts has one of them. Ours.
 */
import { type ColumnNames, parseColumns } from "../data/dataset_options.ts";
import { type Arguments, type Flag, type Flags, UsageError } from "./flags.ts";

/** Which columns hold the picture, the question and the answer. */
export const COLUMNS_FLAG = {
  value: "F=C,...",
  help:
    "columns of data in no known schema, such as image=photo,question=prompt,answer=reply; fields are image, images, " +
    "question, answer, caption, texts, messages, category",
} as const satisfies Flag;

/** How many rows may be bad. */
export const BAD_ROWS_FLAG = {
  value: "N%",
  help: "rows that may be left out since they cannot be read (default: 1%, or 3 rows)",
} as const satisfies Flag;

/** The share that --allow-bad-rows says, if it is given. @throws {UsageError} where that is no percentage */
export function badRowsShare(args: Arguments<{ "allow-bad-rows": Flag }>): number | undefined {
  const text = args.text("allow-bad-rows");
  if (text === undefined) return undefined;
  const [, digits] = /^(\d+(?:\.\d+)?) *%?$/.exec(text) ?? [];
  const share = Number(digits) / 100;
  if (share <= 1) return share;
  throw new UsageError(
    `Cannot use --allow-bad-rows: found "${text}", expected a percentage from 0% to 100%, such as 5%`,
  );
}

/** How training data is read. */
export const DATASET_FLAGS = {
  "columns": COLUMNS_FLAG,
  "weights": {
    value: "N,N",
    help:
      "how much of an epoch each source of the training data gets, in their order; by default its size decides",
  },
  "allow-bad-rows": BAD_ROWS_FLAG,
  "download": {
    help: "download data on the Hub whole, instead of reading the parts that are needed",
  },
} as const satisfies Flags;

/**
 * Columns by field, from a flag's value.
 *
 * @throws {UsageError} where it is not of the form FIELD=COLUMN,...
 */
export function requireColumns(text: string | undefined): ColumnNames {
  try {
    return parseColumns(text === undefined ? [] : text.split(","));
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
