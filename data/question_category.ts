/**
 * The kind of a question by its words, for accuracy tables of datasets that do not tell.
 *
 * Below record_dataset.ts. Ours; the kinds are those in which VQA's results are usually given.
 */

const YES_NO = new Set(
  "is are was were am do does did has have had can could will would should".split(" "),
);
const QUESTION_WORDS = new Set("what which how who whose where when why".split(" "));

/**
 * The kind of a question by its leading words: "yes/no", "what color", "how many", "where", …,
 * or "other".
 */
export function questionCategory(question: string): string {
  const words = question.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  const [first = "", second = ""] = words;
  if (YES_NO.has(first)) return "yes/no";
  if (/^(what|which) ((is|are) )?(the )?colou?rs?\b/.test(words.join(" "))) return "what color";
  if (!QUESTION_WORDS.has(first)) return "other";
  const takesSecond = ["what", "which", "how"].includes(first) && second !== "";
  return takesSecond ? `${first} ${second}` : first;
}
