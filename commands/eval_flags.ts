/**
 * The flags of eval.ts. Ours.
 */
import { BAD_ROWS_FLAG, COLUMNS_FLAG } from "./dataset_flags.ts";
import { NO_TUNE_FLAG } from "./device.ts";
import { VERIFY_FLAG } from "./run_folders.ts";
import { DTYPE_FLAG, type Flags, wholeNumber } from "./flags.ts";

/** What can be asked: a part of a dataset, or what the model's run held out. */
export const SPLITS = ["train", "validation", "test", "held-out"] as const;

/** The flags of eval.ts. */
export const EVAL_FLAGS = {
  "checkpoint": {
    value: "DIR",
    help: "the model's folder, or owner/name[@revision] on the Hub; must be given",
  },
  "dataset": {
    value: "D",
    help: 'what to ask: "shapes", a file, a folder, or a dataset on the Hub; not with held-out',
  },
  "split": {
    value: "NAME",
    choices: SPLITS,
    help:
      "which part of it, as its files' names say; of one without names all is asked, whatever the part (default: " +
      "validation); held-out, the default without --dataset, asks what the model's run held out, no more and no less",
  },
  "columns": COLUMNS_FLAG,
  "allow-bad-rows": BAD_ROWS_FLAG,
  "task": {
    value: "NAME",
    choices: ["vqa", "mmstar"],
    help:
      "vqa: the answer must be the expected text, capitals included, but for space around it; mmstar: " +
      "multiple choice, as nanoVLM does it; by default what the dataset's columns say",
  },
  "tokenizer": { value: "DIR", help: "tokenizer's folder, where the model's has none" },
  "limit": { value: "N", number: wholeNumber(1), help: "ask only the first N questions" },
  "batch-size": {
    value: "N",
    number: wholeNumber(1),
    help: "questions at a time (default: 32)",
  },
  "sample": { help: "ask once more by drawing from the probabilities, as nanoVLM does on MMStar" },
  "seed": {
    value: "N",
    number: wholeNumber(0, 0xffffffff),
    help: "where the drawing starts (default: 0)",
  },
  "dtype": DTYPE_FLAG,
  "verify": VERIFY_FLAG,
  "no-tune": NO_TUNE_FLAG,
  "json": { help: "print one JSON document" },
} as const satisfies Flags;
