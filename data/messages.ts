/**
 * Conversations about a picture, in the forms of OpenAI and TRL (`role`, `content`, also in parts)
 * and of LLaVA and ShareGPT (`from`, `value`), as questions with answers. Below schemas.ts.
 *
 * Source: TRL, "Dataset formats"; LLaVA, llava/train/train.py, preprocess(): what comes before the
 * first question is left out.
 */
import {
  isRecord,
  type Picture,
  PictureError,
  pictureOf,
  readRecord,
  textOf,
  wrongField,
} from "./record_fields.ts";
import type { DataRecord } from "./records.ts";

const ASKS = ["user", "human"];
const ANSWERS = ["assistant", "gpt", "chatgpt", "bot", "model"];
/** Words for the model, not about the picture: left out wherever they are. */
const INSTRUCTS = ["system", "developer"];

/** Fields of a message part that hold a picture. */
const PICTURE_FIELDS = ["image", "image_url", "url", "path", "source"];

/** Whether a list is one of messages. */
export function isMessages(value: unknown): boolean {
  const first = Array.isArray(value) ? value[0] : undefined;
  return isRecord(first) && (first["role"] ?? first["from"]) !== undefined;
}

/** A message's text: itself, or its parts but for places of pictures. */
function contentOf(message: DataRecord): string {
  const content = message["content"] ?? message["value"];
  const text = textOf(content);
  if (text !== undefined) return text;
  if (!Array.isArray(content)) throw wrongField("content", content, "text or a list", message);
  const words = content.map((value) => {
    if (typeof value === "string") return value;
    const part = readRecord(value, "content");
    const kind = textOf(part["type"]);
    if (kind === "text") return textOf(part["text"] ?? part["content"]) ?? "";
    if (kind === "image" || kind === "image_url") return "";
    throw new TypeError(
      `Cannot read field "content": found a part of type "${kind}", expected "text", "image" or ` +
        `"image_url"`,
    );
  });
  return textOf(words.join("")) ?? "";
}

/**
 * Questions and answers in turn.
 *
 * @param field what to call the messages
 * @throws {TypeError} when two questions or two answers follow each other, or the last question has
 * no answer
 */
export function turnsOf(messages: readonly unknown[], field: string): [string, string][] {
  const turns: [string, string][] = [];
  let question: string | undefined;
  for (const [at, value] of messages.entries()) {
    const message = readRecord(value, field);
    const role = textOf(message["role"] ?? message["from"])?.toLowerCase() ?? "";
    if (INSTRUCTS.includes(role)) continue;
    if (question === undefined && ASKS.includes(role)) question = contentOf(message);
    else if (question !== undefined && ANSWERS.includes(role)) {
      turns.push([question, contentOf(message)]);
      question = undefined;
    } else if (turns.length > 0 || question !== undefined || !ANSWERS.includes(role)) {
      const expected = question === undefined ? "user" : "assistant";
      throw new TypeError(
        `Cannot read field "${field}": found role "${role}" at place ${
          at + 1
        }, expected "${expected}"`,
      );
    }
  }
  if (question === undefined) return turns;
  throw new TypeError(
    `Cannot read field "${field}": found a question at the end, expected an answer behind it`,
  );
}

/**
 * The first picture in messages.
 *
 * @throws {PictureError} when there is none
 */
export function pictureInMessages(messages: readonly unknown[], field: string): Picture {
  const parts = messages.flatMap((message) => isRecord(message) ? message["content"] : []);
  for (const part of parts.filter(isRecord)) {
    if (!/^image(_url)?$/.test(textOf(part["type"]) ?? "")) continue;
    const value = PICTURE_FIELDS.map((name) => part[name]).find((one) => (one ?? "") !== "");
    if (value !== undefined) return pictureOf(value, field);
  }
  throw new PictureError(`Cannot read field "${field}": found no picture in it, expected one`);
}
