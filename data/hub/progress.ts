/**
 * How far a download of several files is, for whoever shows it.
 *
 * download.ts counts bytes into it.
 */

/** How far a download is. */
export interface DownloadProgress {
  /** The file that moved last. */
  path: string;
  /** Of all files, with those that were there already from an earlier attempt. */
  receivedBytes: number;
  totalBytes: number;
  /** Mean since the start of this download. */
  bytesPerSecond: number;
  /** Infinity while nothing has come yet. */
  secondsLeft: number;
  filesDone: number;
  files: number;
}

const BETWEEN_MILLISECONDS = 100;

/** Counts the bytes of one download. */
export class ProgressMeter {
  readonly #report: ((progress: DownloadProgress) => void) | undefined;
  readonly #received = new Map<string, number>();
  readonly #totalBytes: number;
  readonly #files: number;
  readonly #start = performance.now();
  #arrivedBytes = 0;
  #filesDone = 0;
  #reported = -Infinity;

  constructor(
    files: readonly { readonly size: number }[],
    report: ((progress: DownloadProgress) => void) | undefined,
  ) {
    this.#files = files.length;
    this.#totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    this.#report = report;
  }

  /**
   * Says how much of a file is on disk.
   *
   * @param arrivedBytes of it, what has just come over the network
   */
  at(path: string, bytes: number, arrivedBytes = 0): void {
    this.#received.set(path, bytes);
    this.#arrivedBytes += arrivedBytes;
    const now = performance.now();
    if (now - this.#reported >= BETWEEN_MILLISECONDS) this.#send(path, now);
  }

  /** Says that a file is whole. */
  done(path: string, bytes: number): void {
    this.#received.set(path, bytes);
    this.#filesDone++;
    this.#send(path, performance.now());
  }

  #send(path: string, now: number): void {
    this.#reported = now;
    const receivedBytes = this.#received.values().reduce((sum, bytes) => sum + bytes, 0);
    const seconds = (now - this.#start) / 1000;
    const bytesPerSecond = seconds > 0 ? this.#arrivedBytes / seconds : 0;
    const left = this.#totalBytes - receivedBytes;
    this.#report?.({
      path,
      receivedBytes,
      totalBytes: this.#totalBytes,
      bytesPerSecond,
      secondsLeft: left === 0 ? 0 : left / bytesPerSecond,
      filesDone: this.#filesDone,
      files: this.#files,
    });
  }
}
