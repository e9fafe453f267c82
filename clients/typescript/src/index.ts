/**
 * A small typed client of Clarion's API.
 *
 *     const clarion = createClarion({ baseUrl: "https://clarion.example.com", apiKey: "ck_live_…" });
 *     const accepted = unwrap(await clarion.POST("/api/v1/notifications", {
 *       body: { user_id: "ada", category: "service", template: "parcel-arrived" },
 *     }));
 *
 * Paths, bodies and answers are those of `/openapi.json` (`schema.ts` is made of it). Every POST carries an
 * `Idempotency-Key` and is repeated under the same key while the API is away or busy: nothing is done twice.
 */

import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.ts";

export type { components, paths } from "./schema.ts";
export { signWebhook, verifyWebhook, WebhookRejected } from "./webhooks.ts";

/** The body of a refusal (RFC 9457). `type` is for programs and does not change. */
export type Problem = components["schemas"]["Problem"];

/** How long to go on, in milliseconds. Waits double from `firstWait` to `longestWait`, drawn at random below that. */
export interface RetryPolicy {
  /** After this the last refusal is the answer. 0: one attempt. */
  patience: number;
  firstWait: number;
  longestWait: number;
  attemptTimeout: number;
}

export interface ClarionOptions {
  baseUrl: string;
  apiKey: string;
  retry?: Partial<RetryPolicy>;
  /** In the place of the platform's own. */
  fetch?: (request: Request) => Promise<Response>;
}

const DEFAULT_POLICY: RetryPolicy = { patience: 60_000, firstWait: 100, longestWait: 5_000, attemptTimeout: 30_000 };
const BUSY = new Set([429, 500, 502, 503, 504]);
const KEY_IN_USE = ":key-in-use";

/** The API refused a request, or stayed away: then `problem.status` is 0, and the last attempt's effect is unknown. */
export class ClarionError extends Error {
  readonly problem: Partial<Problem>;

  constructor(problem: Partial<Problem>) {
    super(problem.detail || problem.title || `the API answered ${problem.status ?? 0}`);
    this.name = "ClarionError";
    this.problem = problem;
  }

  /** The last part of the problem's type, such as `key-mismatch`. */
  get kind(): string {
    return (this.problem.type ?? "").split(":").at(-1) ?? "";
  }
}

/** A client of one account. */
export function createClarion(options: ClarionOptions): Client<paths> {
  const policy = { ...DEFAULT_POLICY, ...options.retry };
  const send = options.fetch ?? ((request: Request) => fetch(request));
  return createClient<paths>({
    baseUrl: options.baseUrl,
    headers: { Authorization: `Bearer ${options.apiKey}` },
    fetch: (request) => sendPatiently(request, policy, send),
  });
}

/** An answer's data. Throws ClarionError where the API refused. */
export function unwrap<T>(result: { data?: T; error?: unknown; response: Response }): T {
  if (result.error !== undefined || !result.response.ok) {
    const said = typeof result.error === "object" && result.error !== null ? result.error : {};
    throw new ClarionError({ ...said, status: result.response.status });
  }
  return result.data as T;
}

async function sendPatiently(
  request: Request,
  policy: RetryPolicy,
  send: (request: Request) => Promise<Response>,
): Promise<Response> {
  if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
    request.headers.set("Idempotency-Key", crypto.randomUUID());
  }
  const giveUp = performance.now() + policy.patience;
  let ceiling = policy.firstWait;
  for (;;) {
    // A request's body can be read once: each attempt has a copy.
    const [response, failure] = await attempt(request.clone(), policy, send);
    if (response && !(await mayPass(response))) return response;
    const wait = Math.max(response ? retryAfter(response) : 0, Math.random() * ceiling);
    if (performance.now() + wait > giveUp) {
      if (response) return response;
      throw new ClarionError({ status: 0, detail: `the API does not answer (${String(failure)})` });
    }
    await response?.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, wait));
    ceiling = Math.min(2 * ceiling, policy.longestWait);
  }
}

async function attempt(
  request: Request,
  policy: RetryPolicy,
  send: (request: Request) => Promise<Response>,
): Promise<[Response | undefined, unknown]> {
  try {
    const timeout = AbortSignal.timeout(policy.attemptTimeout);
    return [await send(new Request(request, { signal: AbortSignal.any([request.signal, timeout]) })), undefined];
  } catch (failure) {
    if (request.signal.aborted) throw failure; // the caller gave up, not we
    return [undefined, failure];
  }
}

/** Whether the same request may succeed later. */
async function mayPass(response: Response): Promise<boolean> {
  if (response.status === 409) return (await response.clone().text()).includes(KEY_IN_USE);
  return BUSY.has(response.status);
}

/** Milliseconds; 0 where there is none. The API sends seconds, never a date. */
function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}
