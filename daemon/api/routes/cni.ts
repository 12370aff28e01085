/** What the CNI shim calls. The reply is always a CniReply, also when the request was refused. */
import type { App } from "../app.ts";
import type { Backend } from "../backend.ts";
import type { Gate } from "../gate.ts";
import { cniErrorSchema, cniReplySchema, cniRequestSchema } from "../schemas/attachment.ts";

export function cniRoute(app: App, backend: Pick<Backend, "cni">, gate: Gate): void {
  app.post(
    "/cni",
    {
      config: { errorForm: "cni" },
      schema: {
        summary: "One call of the CNI plugin",
        body: cniRequestSchema,
        response: { 200: cniReplySchema, default: cniErrorSchema },
      },
    },
    async (request) => gate.run(() => backend.cni(request.body)),
  );
}
