/**
 * Golden tables: learning rates, the multiple-choice check, and collated batches.
 */
import {
  type Batch,
  type Collator,
  MMStarCollator,
  type ReadySample,
  VQACollator,
} from "../../data/collator.ts";
import { matchesMultipleChoice } from "../../data/multiple_choice.ts";
import { ImageProcessor } from "../../data/processor.ts";
import { getLr } from "../../model/schedule.ts";
import { TOY_TOKENIZER } from "../toy_tokenizer.ts";
import { differing, relativeEach } from "./compare.ts";
import { Json, namesIn } from "./golden.ts";
import { LATER } from "./model_case.ts";
import type { CaseReport } from "./report.ts";

/** Both sides compute the same formula in float64. */
const RATE_TOLERANCE = 1e-12;

/** Compares a folder of tables. Whatever is wrong goes into the report. */
export async function verifyTables(dir: string, report: CaseReport): Promise<void> {
  for (const name of namesIn(dir).filter((name) => name.endsWith(".json"))) {
    const compare = comparisonOf(name);
    if (compare) {
      await report.attempt(name, () => compare(report, name, Json.read(`${dir}/${name}`)));
    } else if (/_head\.json$|^top_k_top_p\.json$/.test(name)) report.skip(name, LATER);
  }
}

type Comparison = (report: CaseReport, name: string, json: Json) => void | Promise<void>;

function comparisonOf(name: string): Comparison | undefined {
  // Later versions have the same schedule, but another check and other batches.
  if (/^get_lr_.*\.json$/.test(name)) return compareRates;
  if (/_head\.json$/.test(name)) return undefined;
  if (/^multiple_choice_.*\.json$/.test(name)) return compareChoices;
  return /^collator_.*\.json$/.test(name) ? compareBatches : undefined;
}

function compareRates(report: CaseReport, name: string, json: Json): void {
  for (const [i, table] of json.items.entries()) {
    const [highest, steps] = [table.get("max_lr").number, table.get("max_steps").number];
    const golden = table.get("it_lr").matrix;
    const found = golden.map(([step = NaN]) => getLr(step, highest, steps));
    const deviation = relativeEach(found, golden.map(([, rate = NaN]) => rate));
    report.compare(`${name} [${i}]`, deviation, RATE_TOLERANCE);
  }
}

function compareChoices(report: CaseReport, name: string, json: Json): void {
  const wrong = json.items.filter((one) => {
    const [output, answer] = [one.get("model_output").text, one.get("correct_answer").text];
    return matchesMultipleChoice(output, answer) !== one.get("match").flag;
  });
  report.compare(name, wrong.length, 0, `of ${json.items.length} strings decided otherwise`);
}

const EOS = "<|endoftext|>";

async function compareBatches(report: CaseReport, name: string, json: Json): Promise<void> {
  const processor = new ImageProcessor({ vit_img_size: 1 });
  const vqa = json.find("vqa")?.items ?? [];
  const mmstar = json.find("mmstar");
  for (const golden of vqa) {
    const length = golden.get("max_length").number;
    const quantity = `${name} VQACollator at ${length}`;
    await report.attempt(quantity, () => {
      const collator = new VQACollator(TOY_TOKENIZER, length, processor);
      compareBatch(report, { quantity, golden, collator, end: " Answer:" });
    });
  }
  if (!mmstar) return;
  compareBatch(report, {
    quantity: `${name} MMStarCollator`,
    golden: mmstar,
    collator: new MMStarCollator(TOY_TOKENIZER, processor),
    end: " \nAnswer only with the letter! \nAnswer:",
  });
}

interface Collation {
  readonly quantity: string;
  readonly golden: Json;
  readonly collator: Collator;
  /** What stands behind the question in a prompt. */
  readonly end: string;
}

function compareBatch(report: CaseReport, { quantity, golden, collator, end }: Collation): void {
  const answers = golden.get("answers").texts;
  const samples = golden.get("texts").texts.map((text, i): ReadySample => ({
    index: i,
    row: i,
    image: { width: 1, height: 1, data: new Uint8Array(3) },
    imageName: "",
    question: text.slice("Question: ".length, text.length - end.length),
    answer: (answers[i] ?? "").replace(EOS, ""),
    category: "",
  }));
  const batch = collator.collate(samples);
  const fields: [string, keyof Batch & ("inputIds" | "attentionMask" | "labels")][] = [
    ["input_ids", "inputIds"],
    ["attention_mask", "attentionMask"],
    ["labels", "labels"],
  ];
  for (const [key, field] of fields) {
    const expected = golden.get(key).matrix.flat();
    report.compare(
      `${quantity}, ${key}`,
      differing(batch[field], expected),
      0,
      "values that differ",
    );
  }
}
