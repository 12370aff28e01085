/** The OpenAPI documents: well formed, complete, and true. */
import test from "ava";
import { startTestApi } from "./api-fake.ts";

interface Operation {
  readonly summary?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> };
  readonly responses: Record<string, { readonly description: string }>;
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Record<string, Record<string, Operation>>;
}

const expected = {
  cni: [
    "GET /openapi.json",
    "POST /cni",
    "GET /v1/attachments",
    "POST /v1/attachments",
    "POST /v1/attachments/gc",
    "POST /v1/attachments/{id}/open",
    "DELETE /v1/attachments/{id}",
    "GET /v1/attachments/{id}",
    "GET /v1/events",
  ],
  read: [
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "GET /v1/attachments",
    "GET /v1/events",
    "GET /v1/fdb",
    "GET /v1/networks",
    "GET /v1/ports",
    "GET /v1/status",
  ],
  admin: [
    "GET /openapi.json",
    "GET /v1/plan",
    "GET /v1/transaction",
    "POST /v1/apply",
    "POST /v1/confirm",
    "POST /v1/plan",
    "POST /v1/rollback",
  ],
  http: [
    "GET /debug/",
    "GET /debug/attachments",
    "GET /debug/fdb",
    "GET /debug/heap",
    "GET /debug/maps",
    "GET /debug/networks",
    "GET /debug/ports",
    "GET /debug/status",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
  ],
} as const;

for (const surface of ["cni", "read", "admin", "http"] as const) {
  test(`the document of the ${surface} surface has every route, each described`, async (t) => {
    const started = await startTestApi();
    t.teardown(started.close);
    const document = (await started[surface]("GET", "/openapi.json")).json as Document;
    t.regex(document.openapi, /^3\.1\./);
    t.truthy(document.info.title);
    t.truthy(document.info.version);
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const wanted: readonly string[] = expected[surface];
    t.deepEqual(routes.toSorted(), wanted.toSorted());
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const where = `${method} ${path}`;
        t.truthy(operation.summary, where);
        t.true(Object.keys(operation.responses).length > 0, where);
        for (const [code, response] of Object.entries(operation.responses)) {
          t.regex(code, /^([1-5]\d\d|default)$/, where);
          t.is(typeof response.description, "string", where);
        }
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
        const declared = operation.parameters?.filter((p) => p.in === "path") ?? [];
        t.deepEqual(
          declared.map((p) => p.name),
          inPath as string[],
          where,
        );
        t.true(
          declared.every((p) => p.required === true),
          where,
        );
      }
    }
    const text = JSON.stringify(document);
    t.false(text.includes('"$ref"'), "there are no references that could dangle");
    t.false(text.includes('"nullable"'), "3.1 has no such keyword");
  });

  test(`every GET of the ${surface} document answers`, async (t) => {
    const started = await startTestApi();
    t.teardown(started.close);
    for (const route of expected[surface]) {
      const [method, path] = route.split(" ") as [string, string];
      if (method !== "GET" || path.includes("{") || path.endsWith("/events")) continue;
      t.is((await started[surface](method, path)).status, 200, route);
    }
  });
}

test("the attach request is described in both forms", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const document = (await cni("GET", "/openapi.json")).json as Document;
  const content = document.paths["/v1/attachments"]?.post?.requestBody?.content ?? {};
  t.deepEqual(Object.keys(content), ["application/json", "application/x-protobuf"]);
  t.like(content["application/json"]?.schema, { required: ["network", "containerId"] });
});
