import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import {
  ClarionError,
  createClarion,
  signWebhook,
  unwrap,
  verifyWebhook,
  WebhookRejected,
  type components,
} from "../src/index.ts";

type Step = { status: number; headers?: Record<string, string>; body?: unknown };
type Accepted = components["schemas"]["NotificationAccepted"];

const TOLD: Accepted = {
  notification_id: "n-1",
  status: "queued",
  channels: ["email"],
  ml_predictions: { optimal_send_time: null, channel_scores: {}, predicted_engagement: 0, confidence: 0 },
  reasons: [],
};
const BODY = { user_id: "ada", category: "service" };
const QUICK = { patience: 20_000, firstWait: 1, longestWait: 2 };

/** Runs `story` against a server that answers `script` and then 201; the requests that it saw. */
async function against(script: Step[], story: (baseUrl: string) => Promise<void>): Promise<IncomingMessage[]> {
  const seen: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    seen.push(request);
    request.resume().on("end", () => {
      const step = script.shift() ?? { status: 201, body: TOLD };
      if (step.status === 0) return void request.socket.destroy();
      response.writeHead(step.status, { "content-type": "application/json", ...step.headers });
      response.end(JSON.stringify(step.body ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await story(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return seen;
}

const problem = (kind: string) => ({ type: `urn:clarion:problem:${kind}`, detail: "why" });

test("what may pass is repeated under one key", async () => {
  const script = [{ status: 503 }, { status: 429 }, { status: 0 }, { status: 409, body: problem("key-in-use") }];
  const seen = await against(script, async (baseUrl) => {
    const clarion = createClarion({ baseUrl, apiKey: "ck", retry: QUICK });
    const told = unwrap(await clarion.POST("/api/v1/notifications", { body: BODY }));
    assert.equal(told.notification_id, "n-1");
  });
  assert.equal(seen.length, 5);
  assert.equal(new Set(seen.map((request) => request.headers["idempotency-key"])).size, 1);
  assert.equal(seen[0]?.headers.authorization, "Bearer ck");
});

test("retry-after is waited for", async () => {
  await against([{ status: 429, headers: { "Retry-After": "1" } }], async (baseUrl) => {
    const began = performance.now();
    unwrap(await createClarion({ baseUrl, apiKey: "ck", retry: QUICK }).POST("/api/v1/notifications", { body: BODY }));
    assert.ok(performance.now() - began >= 999);
  });
});

test("a refusal is thrown as what it is, and not repeated", async () => {
  const seen = await against([{ status: 422, body: problem("unknown-reference") }], async (baseUrl) => {
    const clarion = createClarion({ baseUrl, apiKey: "ck", retry: QUICK });
    const answer = await clarion.POST("/api/v1/notifications", { body: BODY });
    assert.throws(
      () => unwrap(answer),
      (error) => error instanceof ClarionError && error.kind === "unknown-reference" && error.problem.status === 422,
    );
  });
  assert.equal(seen.length, 1);
});

test("an API that is not there is told", async () => {
  let gone = "";
  await against([], async (baseUrl) => void (gone = baseUrl));
  const clarion = createClarion({ baseUrl: gone, apiKey: "ck", retry: { patience: 0 } });
  await assert.rejects(clarion.GET("/api/v1/me"), ClarionError);
});

test("webhooks are verified as the standard has them", async () => {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const body = '{"test": 2432232314}';
  const signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
  const headers = new Headers({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": `v1,bm90IGl0 ${signature}`,
  });
  assert.equal(await signWebhook(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body), signature);
  assert.equal(await verifyWebhook(secret, headers, body, 1614265330), "msg_p5jXN8AQM9LWM0D4loKWxJek");
  await assert.rejects(verifyWebhook(secret, headers, `${body} `, 1614265330), WebhookRejected);
  await assert.rejects(verifyWebhook(secret, headers, body, 1614265330 + 301), WebhookRejected);
  await assert.rejects(verifyWebhook(secret, new Headers(), body, 1614265330), WebhookRejected);
});
