/** Webhook signatures, as Standard Webhooks has them (https://www.standardwebhooks.com). */

const PREFIX = "whsec_";
const TOLERANCE_S = 300;

/** The message is not from who has the secret, or not of these minutes. Answer it with 401. */
export class WebhookRejected extends Error {
  override name = "WebhookRejected";
}

/** The `webhook-signature` of a body at `atS` (Unix seconds). */
export async function signWebhook(secret: string, messageId: string, atS: number, body: string): Promise<string> {
  const signed = new TextEncoder().encode(`${messageId}.${atS}.${body}`);
  const signature = await crypto.subtle.sign("HMAC", await keyOf(secret, ["sign"]), signed);
  return `v1,${btoa(String.fromCharCode(...new Uint8Array(signature)))}`;
}

/**
 * The message's id, once its signature is checked. `body` is the text that arrived, `nowS` Unix seconds.
 * Throws WebhookRejected. Messages can come twice: keep the ids of the last five minutes if that matters.
 */
export async function verifyWebhook(
  secret: string,
  headers: Headers,
  body: string,
  nowS: number = Date.now() / 1000,
): Promise<string> {
  const messageId = headers.get("webhook-id") ?? "";
  const at = headers.get("webhook-timestamp") ?? "";
  if (!messageId || !/^\d{1,12}$/.test(at)) throw new WebhookRejected("the webhook's id or timestamp is missing");
  if (Math.abs(Number(at) - nowS) > TOLERANCE_S) {
    throw new WebhookRejected("the webhook's timestamp is not of these minutes");
  }
  const key = await keyOf(secret, ["verify"]);
  const signed = new TextEncoder().encode(`${messageId}.${at}.${body}`);
  for (const one of (headers.get("webhook-signature") ?? "").split(" ")) {
    // `verify` compares in constant time.
    const given = one.startsWith("v1,") ? decode(one.slice(3)) : undefined;
    if (given && (await crypto.subtle.verify("HMAC", key, given, signed))) return messageId;
  }
  throw new WebhookRejected("the webhook's signature is not that of this secret");
}

async function keyOf(secret: string, uses: KeyUsage[]): Promise<CryptoKey> {
  const bytes = decode(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret);
  if (!bytes) throw new TypeError(`a webhook secret is ${PREFIX} and base64`);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, uses);
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
