/** /healthz, /readyz, /metrics and the OpenAPI document. */
import type { App } from "../app.ts";
import type { Backend } from "../backend.ts";
import { healthSchema } from "../schemas/status.ts";

export function healthRoutes(app: App, backend: Pick<Backend, "healthy" | "ready">): void {
  const checks = {
    "/healthz": { ask: () => backend.healthy(), summary: "The process lives and its kernel thread answers" },
    "/readyz": { ask: () => backend.ready(), summary: "The host is as the intent wants it" },
  };
  for (const [url, { ask, summary }] of Object.entries(checks)) {
    app.get(
      url,
      { schema: { summary, response: { 200: healthSchema, 503: healthSchema } } },
      async (_request, reply) => {
        const { ok, reasons } = await ask();
        return reply.code(ok ? 200 : 503).send({ ok, reasons: [...reasons] });
      },
    );
  }
}

export function metricsRoute(app: App, backend: Pick<Backend, "metrics">): void {
  app.get(
    "/metrics",
    {
      schema: {
        summary: "Metrics in the Prometheus text format",
        produces: ["text/plain"],
        response: { 200: { type: "string" } },
      },
      serializerCompiler: () => String,
    },
    async (_request, reply) => reply.type(backend.metrics.contentType).send(await backend.metrics.metrics()),
  );
}

export function openApiRoute(app: App): void {
  app.get(
    "/openapi.json",
    {
      schema: { summary: "This document", response: { 200: { type: "object", additionalProperties: true } } },
      serializerCompiler: () => JSON.stringify,
    },
    async (_request, reply) => reply.send({ ...app.swagger() }),
  );
}
