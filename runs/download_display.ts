/**
 * Shows how far a download from the Hub is: on stderr, for a command's output may go elsewhere.
 *
 * Between data/hub.ts and the scripts. Ours.
 */
import type { DownloadProgress, HubOptions } from "../data/hub.ts";
import { Display } from "./display.ts";
import { clock } from "./report.ts";
import { sizeText } from "./survey_text.ts";

const MILLISECONDS_BETWEEN_UPDATES = 100;
/** A file that nobody watches coming gets lines no faster than this. */
const MILLISECONDS_BETWEEN_LINES = 10_000;

/** Options for the Hub's functions that show on `output` what they download. */
export function downloadDisplay(output: typeof Deno.stderr = Deno.stderr): HubOptions {
  const display = new Display(output);
  const pause = output.isTerminal() ? MILLISECONDS_BETWEEN_UPDATES : MILLISECONDS_BETWEEN_LINES;
  let shown = performance.now();
  return {
    onProgress: (progress) => {
      const { filesDone, files, path, totalBytes } = progress;
      if (filesDone === files) {
        const what = files === 1 ? path : `${files} files`;
        return display.print(`Downloaded ${what}, ${sizeText(totalBytes)}`);
      }
      if (performance.now() - shown < pause) return;
      shown = performance.now();
      display.update(progressLine(progress));
    },
  };
}

function progressLine(progress: DownloadProgress): string {
  const { path, receivedBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  const share = `${Math.floor(100 * receivedBytes / totalBytes)} % of ${sizeText(totalBytes)}`;
  const left = Number.isFinite(secondsLeft) ? `, ${clock(secondsLeft)} left` : "";
  return `Downloading ${path}: ${share}, ${sizeText(bytesPerSecond)}/s${left}`;
}
