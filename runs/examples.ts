/**
 * A few questions to look at after training, and the command that asks the trained model one of them again.
 *
 * Between eval.ts's answers and train.ts's report. Ours.
 */
import type { Samples } from "../data/datasets.ts";
import { decodeImage } from "../data/image.ts";
import { encodePng } from "../data/png_encoder.ts";
import { denoCommand, printable } from "../data/terminal.ts";
import { shellWord } from "./report.ts";

/** A question with the model's answer and the true one. */
export interface Example {
  /** The sample's number. */
  readonly index: number;
  /** As asked. */
  readonly question: string;
  /** The true answer. */
  readonly expected: string;
  /** The model's answer. */
  readonly given: string;
}

/** Examples in the report that train.ts prints. */
const COUNT = 5;

/** Answers spread over all, one place further each time, since kinds of questions take turns in most datasets. */
export function chooseExamples(answers: readonly Example[], count: number = COUNT): Example[] {
  const places = new Set(
    Array.from(
      { length: count },
      (_, k) => Math.min(answers.length - 1, Math.floor(k * answers.length / count) + k),
    ),
  );
  return [...places].flatMap((place) => {
    const answer = answers[place];
    if (!answer) return [];
    const { index, question, expected, given } = answer;
    return [{ index, question, expected, given }];
  });
}

/**
 * Writes a sample's picture to `folder`/example.png.
 *
 * @returns its path
 * @throws {SyntaxError} {RangeError} where the sample's picture cannot be decoded
 */
export async function savePicture(
  samples: Samples,
  index: number,
  folder: string,
): Promise<string> {
  const { image, imageName } = await samples.at(index);
  const picture = image instanceof Uint8Array ? await decodeImage(image, imageName) : image;
  const path = `${folder}/example.png`;
  await Deno.writeFile(path, encodePng(picture));
  return path;
}

/** The command that asks the model in `folder` about a picture, to be pasted into a shell. */
export function generateCommand(picture: string, question: string, folder: string): string {
  const asked = printable(question.replaceAll(/\s+/g, " "));
  const words = ["run", "-A", "generate.ts", picture, asked, "--checkpoint", folder];
  return denoCommand(words.map(shellWord).join(" "));
}
