/** The debug endpoint: the daemon's inside for people and scripts on this host. It reads and changes nothing. */
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { App } from "../app.ts";
import type { Backend } from "../backend.ts";
import { debugPage } from "../debug-page.ts";
import { attachmentView } from "../views.ts";
import { readRoutes } from "./read.ts";

const anything = { 200: { type: "object", additionalProperties: true } } as const;

export function debugRoutes(app: App, backend: Backend): void {
  const json = (name: string, summary: string, answer: () => object | Promise<object>) =>
    app.get(
      `/debug/${name}`,
      { schema: { summary, response: anything }, serializerCompiler: () => JSON.stringify },
      async (_request, reply) => reply.send({ ...(await answer()) }),
    );

  readRoutes(app, backend, "/debug");
  json("attachments", "Attachments", () => ({ attachments: backend.attachments().map(attachmentView) }));
  json("maps", "How full the BPF maps are", async () => ({ maps: await backend.mapUse() }));
  json("heap", "Memory and event loop of the process", processUse);

  const page = {
    schema: { summary: "Overview for people", produces: ["text/html"], response: { 200: { type: "string" } } },
    serializerCompiler: () => String,
  } as const;
  app.get("/debug/", page, async (_request, reply) => {
    const [status, ports, counters, fdb, maps] = await Promise.all([
      backend.status(),
      backend.ports(),
      backend.counters(),
      backend.fdb(),
      backend.mapUse(),
    ]);
    // No script, no style and nothing else from elsewhere: the page is one file.
    reply.header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    return reply.type("text/html; charset=utf-8").send(debugPage({ status, ports, counters, fdb, maps }));
  });
}

const DELAY_SAMPLE_MS = 250;

/** The loop's delay is sampled while the request waits, so that nothing ticks when nobody asks. */
async function processUse() {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = performance.eventLoopUtilization();
  delay.enable();
  await sleep(DELAY_SAMPLE_MS);
  delay.disable();
  const ms = (ns: number) => (Number.isFinite(ns) ? ns / 1e6 : 0);
  return {
    uptime: process.uptime(),
    memory: process.memoryUsage(),
    resources: process.resourceUsage(),
    eventLoop: {
      sampled: DELAY_SAMPLE_MS,
      delayMs: { mean: ms(delay.mean), p99: ms(delay.percentile(99)), max: ms(delay.max) },
      utilization: performance.eventLoopUtilization(before).utilization,
    },
    versions: process.versions,
  };
}
