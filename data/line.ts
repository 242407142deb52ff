/**
 * Questions and answers between the loader's threads: a line has one end that asks and one that
 * serves, and answers come in the order of the questions. Under loader_source.ts, reader_worker.ts
 * and builder_worker.ts.
 */

/** What both a worker and a message port are. */
export interface Endpoint {
  postMessage(message: unknown, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

type Reply<Answer> = { answer: Answer } | { name: string; message: string };

interface Waiting<Answer> {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** The error that the other end met, of the same class. */
function revive({ name, message }: { name: string; message: string }): Error {
  if (name === "TypeError") return new TypeError(message);
  if (name === "RangeError") return new RangeError(message);
  if (name === "SyntaxError") return new SyntaxError(message);
  return new Error(message);
}

/** The end that asks. */
export class Line<Question, Answer> {
  readonly #endpoint: Endpoint;
  readonly #waiting: Waiting<Answer>[] = [];
  #broken: Error | undefined;

  /** Takes over the endpoint's messages. */
  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    endpoint.onmessage = ({ data }: MessageEvent<Reply<Answer>>) => {
      const waiting = this.#waiting.shift();
      if ("answer" in data) waiting?.resolve(data.answer);
      else waiting?.reject(revive(data));
    };
  }

  /**
   * Asks the other end.
   *
   * @param transfer what is handed over with the question instead of copied
   * @throws {Error} what the other end met, or why the line is broken
   */
  ask(question: Question, transfer: Transferable[] = []): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#endpoint.postMessage(question, transfer);
      this.#waiting.push({ resolve, reject });
    });
  }

  /** Ends all questions under way and to come with an error; the first one counts. */
  break(error: Error): void {
    this.#broken ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#broken);
  }
}

/**
 * Makes an endpoint the end that serves. Work on a question begins when it comes, also while those
 * before it are not answered yet.
 *
 * @param answer what it throws is thrown at the other end
 * @param buffersOf what of an answer is handed over instead of copied
 */
export function serve<Question, Answer>(
  endpoint: Endpoint,
  answer: (question: Question) => Promise<Answer>,
  buffersOf: (answer: Answer) => Transferable[] = () => [],
): void {
  let last = Promise.resolve();
  endpoint.onmessage = ({ data }: MessageEvent<Question>) => {
    const answering = answer(data).then<Reply<Answer>, Reply<Answer>>(
      (answer) => ({ answer }),
      (error: unknown) => {
        const { name, message } = error instanceof Error ? error : new Error(String(error));
        return { name, message };
      },
    );
    last = last.then(async () => {
      const reply = await answering;
      endpoint.postMessage(reply, "answer" in reply ? buffersOf(reply.answer) : []);
    });
  };
}
