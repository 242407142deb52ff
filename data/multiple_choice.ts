/**
 * Tells whether a generated answer names the right letter; used when scoring MMStar.
 *
 * Source: nanoVLM v0.1, models/utils.py, check_multiple_choice_with_regex, with Python's meaning
 * of `\b` (it knows all Unicode letters and digits) and of `.` (it stops only at a line feed).
 */

const WORD = String.raw`[\p{L}\p{N}_]`;
const BOUNDARY = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;

/** Python's `.` outside brackets and escapes, in JavaScript's words. */
function translateDots(pattern: string): string {
  return pattern.replace(
    /\\[^]|\[\^?\]?[^\]]*\]|\./g,
    (part) => (part === "." ? String.raw`[^\n]` : part),
  );
}

/**
 * Whether a model's output contains the correct choice: as a word of its own, followed by
 * punctuation, or anywhere between parentheses. Case counts; the answer is taken in upper case
 * and, as upstream, read as a regular expression.
 *
 * @param output what the model wrote
 * @param answer the correct letter
 * @throws {SyntaxError} when the answer is no valid regular expression
 */
export function matchesMultipleChoice(output: string, answer: string): boolean {
  const choice = translateDots(answer.toUpperCase());
  const patterns = [
    `${BOUNDARY}${choice}${BOUNDARY}`,
    `${BOUNDARY}${choice}[.,)]`,
    String.raw`\([^\n]*${choice}[^\n]*\)`,
  ];
  return patterns.some((pattern) => new RegExp(pattern, "u").test(output));
}
