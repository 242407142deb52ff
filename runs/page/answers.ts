/**
 * Held-out pictures on the page: question, true answer, and how the model's answer changed over the evaluations, the newest first.
 *
 * Between run_history.ts and page.ts. Ours.
 */
import { type JudgedExample, picturePath, type RunHistory } from "../run_history.ts";
import { type Content, type Html, html } from "./html.ts";

/** Characters of a text that are shown. */
const MOST_CHARACTERS = 240;

/** The same answer at evaluations one after the other. */
interface Spell {
  readonly first: string;
  readonly last: string;
  readonly example: JudgedExample;
}

/** The held-out pictures of a run; "" where it has none. */
export function heldOut(run: RunHistory, title: Content): Content {
  const { evaluations, final } = run;
  const shown = evaluations.at(-1)?.examples ?? final?.examples ?? [];
  if (shown.length === 0) return "";
  const saved = final ? '; "saved" is the model that was kept' : "";
  return html`
    <section>
      <h2>${title}</h2>
      <p class="hint">
        What the model answered about pictures that it was not trained on, by the step of the
        evaluation, the newest first${saved}.
      </p>
      <div class="answers">${shown.map((example) => card(run, example))}</div>
    </section>
  `;
}

function card(run: RunHistory, { index, question, expected }: JudgedExample): Html {
  return html`<article class="answer">
    ${picture(picturePath(run.folder, index))}
    <div><p class="question">${cut(question)}</p>
    <p class="true"><span>True answer</span> ${cut(expected)}</p>
    <ol>${spells(run, index).reverse().map(spellRow)}</ol></div></article>\n`;
}

function spellRow({ first, last, example }: Spell): Html {
  const steps = first === last ? first : `${first} – ${last}`;
  const mark = example.correct
    ? html`<b class="right" title="right">✓</b>`
    : html`<b class="wrong" title="wrong">✗</b>`;
  return html`<li><span class="when">${steps}</span>${mark}<span>${
    example.given.trim() === "" ? html`<i>nothing</i>` : cut(example.given)
  }</span></li>`;
}

/** A question's answers, with equal ones put together. */
function spells({ evaluations, final }: RunHistory, index: number): Spell[] {
  const spells: Spell[] = [];
  const add = (when: string, examples: readonly JudgedExample[]) => {
    const example = examples.find((one) => one.index === index);
    if (!example) return;
    const before = spells.at(-1);
    if (before && before.example.given === example.given) {
      spells[spells.length - 1] = { ...before, last: when };
    } else spells.push({ first: when, last: when, example });
  };
  for (const { step, examples } of evaluations) add(String(step), examples);
  if (final) add("saved", final.examples);
  return spells;
}

function picture(path: string): Html {
  try {
    const source = `data:image/png;base64,${Deno.readFileSync(path).toBase64()}`;
    return html`<img src="${source}" alt="">`;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return html`<div class="absent">no picture</div>`; // only metrics.jsonl was kept
  }
}

/** The beginning of a long text. */
function cut(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}…`;
}
