/**
 * Decodes a picture that may be broken and then a whole one, so that a test can end it when it
 * hangs, and see whether the first spoiled the second.
 */
import { decodeImage } from "../../data/image.ts";

/** Two files. */
export interface DecodingRequest {
  broken: Uint8Array;
  whole: Uint8Array;
}

/** What became of them. */
export interface DecodingReply {
  /** "picture", or the name of the error's class. */
  outcome: string;
  /** The error's message. */
  message: string;
  /** The whole one's pixels, (height, width, 3). */
  pixels: Uint8Array;
  /** Of the broken one alone. */
  milliseconds: number;
  /** Of the process, after both. */
  residentBytes: number;
}

const scope = self as unknown as {
  onmessage: (event: MessageEvent<DecodingRequest>) => void;
  postMessage(reply: DecodingReply): void;
};

scope.onmessage = async ({ data: { broken, whole } }) => {
  const start = performance.now();
  let outcome = "picture";
  let message = "";
  try {
    const { width, height, data } = await decodeImage(broken, "broken");
    if (data.length !== 3 * width * height) outcome = "picture of the wrong length";
  } catch (error) {
    outcome = error instanceof Error ? error.name : typeof error;
    message = error instanceof Error ? error.message : String(error);
  }
  const milliseconds = performance.now() - start;
  const { data: pixels } = await decodeImage(whole, "whole");
  const { rss: residentBytes } = Deno.memoryUsage();
  scope.postMessage({ outcome, message, pixels, milliseconds, residentBytes });
};
