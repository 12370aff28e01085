/** Changes of intent, for root: what would be done, doing it, keeping it, undoing it. */
import type { App } from "../app.ts";
import type { Backend } from "../backend.ts";
import { errorSchema } from "../schemas/error.ts";
import {
  applyAnswerSchema,
  applyRequestSchema,
  planRequestSchema,
  planSchema,
  transactionSchema,
} from "../schemas/transaction.ts";

type Source = Pick<Backend, "plan" | "apply" | "confirm" | "rollBack" | "transaction">;

export function adminRoutes(app: App, backend: Source): void {
  app.get(
    "/v1/plan",
    {
      schema: {
        summary: "What applying the daemon's files would do",
        response: { 200: planSchema, default: errorSchema },
      },
    },
    async (_request, reply) => reply.send((await backend.plan(undefined)) as never),
  );

  app.post(
    "/v1/plan",
    {
      schema: {
        summary: "What applying these texts would do",
        body: planRequestSchema,
        response: { 200: planSchema, default: errorSchema },
      },
    },
    async (request, reply) => reply.send((await backend.plan(request.body.texts)) as never),
  );

  app.post(
    "/v1/apply",
    {
      schema: {
        summary: "Change the intent, with a way back",
        description:
          "Answers when the change is verified: it is permanent then, or waits for POST /v1/confirm. ROLLED_BACK and " +
          "CHANGE_REFUSED say that it was not made. It goes on if the caller goes away.",
        body: applyRequestSchema,
        response: { 200: applyAnswerSchema, default: errorSchema },
      },
    },
    async (request, reply) => reply.send((await backend.apply(request.body)) as never),
  );

  app.post(
    "/v1/confirm",
    { schema: { summary: "Keep the change that waits", response: { 200: applyAnswerSchema, default: errorSchema } } },
    async (_request, reply) => reply.send((await backend.confirm()) as never),
  );

  app.post(
    "/v1/rollback",
    {
      schema: {
        summary: "Undo the change that is under way",
        description: "Answers when the last good intent is in force again.",
        response: { 200: transactionSchema, default: errorSchema },
      },
    },
    async (_request, reply) => reply.send((await backend.rollBack()) as never),
  );

  app.get(
    "/v1/transaction",
    {
      schema: {
        summary: "The change that is under way, or how the last one ended",
        response: { 200: applyAnswerSchema, default: errorSchema },
      },
    },
    async (_request, reply) => reply.send(backend.transaction() as never),
  );
}
