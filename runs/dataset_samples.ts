/**
 * Rows of a dataset as the model sees them: the picture at its size, every question's tokens, and
 * which of them are learned.
 *
 * Between dataset_survey.ts and page/dataset_page.ts. Ours.
 */
import { IGNORED_LABEL, type ReadySample, type VQACollator } from "../data/collator.ts";
import type { Dataset, Row, Turn } from "../data/datasets.ts";
import { decodeImage } from "../data/image.ts";
import { readImageHeader } from "../data/image_header.ts";
import { encodePng } from "../data/png_encoder.ts";
import { mmstarPrompt } from "../data/processor.ts";
import { resize } from "../data/resize.ts";
import type { RgbImage } from "../data/rgb_image.ts";
import type { Tokenizer } from "../data/tokenizer.ts";

/** A token of a row. */
export interface SampleToken {
  readonly id: number;
  readonly text: string;
  /** Whether the model learns to say it. */
  readonly isLearned: boolean;
}

/** A question as the model sees it. */
export interface SampleTurn extends Turn {
  /** What is asked in an evaluation, where that is something else. */
  readonly evaluationPrompt: string | undefined;
  /** At most `lm_max_length`, without padding. */
  readonly tokens: readonly SampleToken[];
  /** Padding, and on which side of the tokens. */
  readonly padding: { readonly count: number; readonly isBefore: boolean };
  /** Whether it was too long, so that nothing of it is learned. */
  readonly isCut: boolean;
}

/** A row as the model sees it. */
export interface DatasetSample {
  /** Its number. */
  readonly row: number;
  readonly imageName: string;
  /** The file's type and size, or what it is where there is no file. */
  readonly imageKind: string;
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  /** The picture for a browser, as a data: URL; a large one is shrunk. */
  readonly original: string;
  /** What the model gets, as a data: URL. */
  readonly seen: string;
  /** Width and height of what the model gets. */
  readonly imageSize: number;
  readonly turns: readonly SampleTurn[];
  /** Questions of the row that are not in `turns`. */
  readonly moreTurns: number;
}

/** What rows are made ready with. */
export interface SampleTools {
  readonly tokenizer: Tokenizer;
  readonly collator: VQACollator;
  readonly questionsPerRow: "first" | "all";
}

/** Questions of a row that are shown. */
const MOST_TURNS = 3;
/** Files that go into a page as they are. */
const MOST_FILE_BYTES = 150_000;
/** The longer side of a picture that is made smaller for a page. */
const MOST_PIXELS = 360;

/**
 * Reads rows.
 *
 * @param rows their numbers
 * @throws {TypeError} {SyntaxError} {RangeError} where one cannot be read
 */
export async function readSamples(
  dataset: Dataset,
  rows: readonly number[],
  tools: SampleTools,
): Promise<DatasetSample[]> {
  const samples: DatasetSample[] = [];
  for (const row of rows) {
    samples.push(await toSample(await dataset.row(row), { row, format: dataset.format, ...tools }));
  }
  return samples;
}

type Place = SampleTools & { readonly row: number; readonly format: Dataset["format"] };

async function toSample({ image: given, imageName, turns }: Row, place: Place) {
  const { row, collator, questionsPerRow } = place;
  const file = given instanceof Uint8Array ? given : undefined;
  const picture = given instanceof Uint8Array ? await decodeImage(given, imageName) : given;
  const image = await collator.imageProcessor.square(picture, imageName);
  const shown = turns.slice(0, questionsPerRow === "first" ? 1 : MOST_TURNS);
  return {
    ...{ row, imageName },
    imageKind: file ? readImageHeader(file, imageName).type : "drawn",
    bytes: file?.length ?? 0,
    width: picture.width,
    height: picture.height,
    original: originalUrl(picture, file),
    seen: pngUrl(image),
    imageSize: image.width,
    turns: shown.map((turn) => toTurn({ ...turn, image, imageName, row, index: 0 }, place)),
    moreTurns: turns.length - shown.length,
  };
}

function toTurn(sample: ReadySample, { collator, tokenizer, format }: Place): SampleTurn {
  const { question, answer, category } = sample;
  const { inputIds, attentionMask, labels, length, realTokens, cutRows } = collator.collate([
    sample,
  ]);
  const isBefore = attentionMask[0] === 0;
  const start = isBefore ? length - realTokens : 0;
  const tokens = Array.from(inputIds.subarray(start, start + realTokens), (id, i) => ({
    id,
    text: tokenizer.decode([id]),
    // A label lies one place before its token.
    isLearned: start + i > 0 && labels[start + i - 1] !== IGNORED_LABEL,
  }));
  return {
    ...{ question, answer, category, tokens },
    evaluationPrompt: format === "multiple-choice" ? mmstarPrompt(question) : undefined,
    padding: { count: length - realTokens, isBefore },
    isCut: cutRows > 0,
  };
}

/** A JPEG file as it is, if it is not large; anything else as a PNG. */
function originalUrl(picture: RgbImage, file: Uint8Array | undefined): string {
  const isJpeg = file !== undefined && readImageHeader(file, "").type === "JPEG";
  if (isJpeg && file.length <= MOST_FILE_BYTES) return `data:image/jpeg;base64,${file.toBase64()}`;
  const scale = Math.min(1, MOST_PIXELS / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height]
    .map((pixels) => Math.max(1, Math.round(pixels * scale)));
  return pngUrl(resize(picture, width ?? 1, height ?? 1));
}

function pngUrl(image: RgbImage): string {
  return `data:image/png;base64,${encodePng(image).toBase64()}`;
}
