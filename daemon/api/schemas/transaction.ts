/** JSON Schemas of the admin surface: plans, and changes of intent. */
import type {
  ApplyAnswer,
  Outcome,
  PlanView,
  RollbackCause,
  StepView,
  TransactionStatus,
} from "../../model/transaction.ts";

const causes: Readonly<Record<RollbackCause, true>> = {
  timeout: true,
  probe: true,
  verify: true,
  crash: true,
  operator: true,
};
export const rollbackCauses = Object.keys(causes) as RollbackCause[];

type Members<T> = Readonly<Record<keyof T, object>>;

const text = { type: "string" } as const;
const integer = { type: "integer" } as const;
const impact = { type: "string", enum: ["none", "blip", "outage"], description: "what traffic notices" } as const;

const stepSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    op: text,
    object: { ...text, description: "the link or port" },
    impact,
    text: { ...text, description: "a sentence" },
    touches: { type: "array", items: text, description: "attachments, or else devices, that notice the impact" },
  } satisfies Members<StepView>,
} as const;

const steps = { type: "array", items: stepSchema } as const;

export const planSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    impact,
    steps,
    conditions: {
      type: "array",
      description: "what would still be wrong afterwards",
      items: {
        type: "object",
        additionalProperties: false,
        properties: { code: text, object: text, message: text },
      },
    },
  } satisfies Members<PlanView>,
} as const;

const outcomeSchema = {
  type: ["object", "null"],
  additionalProperties: false,
  properties: {
    id: text,
    result: { type: "string", enum: ["committed", "unchanged", "refused", "rolled-back"] },
    cause: { type: ["string", "null"], enum: [...rollbackCauses, null] },
    reason: text,
  } satisfies Members<Outcome>,
} as const;

const transactionMembers = {
  phase: {
    type: "string",
    enum: ["idle", "preparing", "applying", "verifying", "waiting", "committing", "rolling-back"],
  },
  id: text,
  origin: { ...text, description: "request, files or boot; empty when idle" },
  startedAt: text,
  secondsLeft: { type: ["integer", "null"], description: "until it is rolled back unless confirmed" },
  last: outcomeSchema,
  generation: { ...integer, description: "of the last good intent; 0: none" },
  savedAt: text,
} as const satisfies Members<TransactionStatus>;

export const transactionSchema = {
  type: "object",
  additionalProperties: false,
  properties: transactionMembers,
} as const;

export const applyAnswerSchema = {
  type: "object",
  additionalProperties: false,
  properties: { ...transactionMembers, steps } satisfies Members<ApplyAnswer>,
} as const;

const texts = {
  type: "array",
  minItems: 1,
  maxItems: 1024,
  description: "files of intent; absent: the daemon's own",
  items: {
    type: "object",
    additionalProperties: false,
    required: ["file", "text"],
    properties: { file: { type: "string", maxLength: 4096, description: "for messages" }, text },
  },
} as const;

export const planRequestSchema = {
  type: "object",
  additionalProperties: false,
  required: ["texts"],
  properties: { texts },
} as const;

export const applyRequestSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    texts,
    confirm: {
      type: "integer",
      minimum: 0,
      maximum: 86_400,
      description: "s in which it must be confirmed, or is rolled back; 0: it need not be",
    },
    verify: {
      type: "integer",
      minimum: 1,
      maximum: 600,
      description: "s in which probes that succeeded before must succeed again",
    },
  },
} as const;
