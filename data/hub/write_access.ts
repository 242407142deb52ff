/**
 * Whether a token may write to a model's repository, asked before the work whose result is to go there.
 *
 * Beside upload.ts. Source: the Hub's whoami call, as @huggingface/hub makes it.
 */
import { modelInfo, whoAmI } from "@huggingface/hub";
import { HubError } from "./errors.ts";
import { hubError, publicError, remedy, requireToken, type UploadOptions } from "./upload.ts";
import { uploadFetch } from "./upload_fetch.ts";

/**
 * Checks what can be known beforehand: that the token is valid, not for reading only, and its owner is that of the repository
 * or writes for the organization that is; and that no public repository stands where a private one is asked for.
 *
 * @param name "owner/name"
 * @throws {HubError} where it is not so, or the Hub cannot be reached
 */
export async function requireWriteAccess(
  name: string,
  { endpoint, token, retry, isPrivate }: Omit<UploadOptions, "message" | "onProgress">,
): Promise<void> {
  const accessToken = requireToken(token, { name, endpoint });
  const fetch = uploadFetch({ name, retry, onSent: () => {} });
  const hub = { hubUrl: endpoint, accessToken, fetch };
  try {
    const user = await whoAmI(hub);
    const problem = problemOf(user, name.slice(0, name.indexOf("/")));
    if (problem !== undefined) {
      throw new HubError(
        `Cannot push to "${name}": found ${problem}, expected write access. Check the owner's name. ${
          remedy(endpoint)
        }`,
      );
    }
    if (!isPrivate) return;
    const info = await modelInfo({ ...hub, name }).catch(() => undefined); // there is none yet
    if (info && !info.private) throw publicError(name, endpoint);
  } catch (error) {
    throw hubError(error, { name, endpoint });
  }
}

function problemOf(user: Awaited<ReturnType<typeof whoAmI>>, owner: string): string | undefined {
  if (user.auth.accessToken?.role === "read") return "a token for reading only";
  // What a token of another kind may do only the push itself tells.
  if (user.type !== "user" || user.name.toLowerCase() === owner.toLowerCase()) return undefined;
  const organization = user.orgs.find(({ name }) => name.toLowerCase() === owner.toLowerCase());
  if (!organization) return `a token of "${user.name}", who is not of "${owner}"`;
  const role = "roleInOrg" in organization ? organization.roleInOrg : undefined;
  return role === "read" ? `a token of "${user.name}", who may only read in "${owner}"` : undefined;
}
