/**
 * Keeps secrets out of messages: tokens, passwords, and addresses that are signed.
 *
 * Under errors.ts, through which every message about the network goes; commands/command.ts asks it once more before it prints
 * an error of any other kind. Ours.
 */

/** Shorter ones would be found in ordinary words. */
const LEAST_CHARACTERS = 6;
/** A part of a token from its start on is one too, where it is as long as this. */
const TELLING_CHARACTERS = 10;
const HIDDEN = "***";

/** How to find the tokens that this process was given, by their beginnings: not all of them begin with "hf_". */
const known = new Map<string, RegExp>();

/** Has a token's own text, plain or encoded, masked in every message from now on. */
export function keepSecret(token: string): void {
  if (token.length < LEAST_CHARACTERS) return;
  for (const text of [token, encodeURIComponent(token), btoa(token)]) {
    const start = text.slice(0, TELLING_CHARACTERS);
    known.set(start, new RegExp(`${RegExp.escape(start)}[^\\s"'&,;)]*`, "gi"));
  }
}

/** An address: what is before "@" in it, and what is behind "?" or "#", may be secret. */
const ADDRESS =
  /\b([a-z][a-z0-9+.-]{0,20}:\/\/)(?:[^\s/?#"'<>]*@)?([^\s?#"'<>()]*)([?#][^\s"'<>()]+)?/gi;
/** Shapes of secrets, with what may stay of them. */
const SHAPES = [
  /(?<![a-z0-9])(hf_|api_org_)(?:(?:oauth|jwt|app)_[\w.-]+|[a-z0-9]{12,})/gi,
  /\b()eyJ[\w-]{8,2000}\.[\w-]+(?:\.[\w-]+)?/g,
  /\b(Bearer\s+)[^\s"',;)]{6,}/gi,
  /\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?:[a-z]+\s+)?[^\s"',;]+/gi,
  /\b([\w-]{0,40}(?:signature|credential|token|api_?key|password|secret|policy|key-pair-id|sig)(?:=|%3D))[^\s&"',;)]+/gi,
  /("[\w-]*(?:token|api_?key|password|secret|signature|credential)"\s*:\s*")(?:[^"\\]|\\.)+/gi,
];

/** `text` with `***` for tokens and passwords, and of addresses host and path only. */
export function masked(text: string): string {
  let shown = text;
  for (const secret of known.values()) shown = shown.replaceAll(secret, HIDDEN);
  shown = shown.replaceAll(
    ADDRESS,
    (_, scheme, place, query) => scheme + place + (query === undefined ? "" : `${query[0]}…`),
  );
  return SHAPES.reduce((shown, shape) => shown.replaceAll(shape, `$1${HIDDEN}`), shown);
}
