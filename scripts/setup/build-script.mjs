// @ts-check
// What the build scripts share: each is a program of its own, and its errors are sentences.
import { SetupError } from "./report.mjs";

/** @param {() => Promise<void>} build */
export async function buildScript(build) {
  try {
    await build();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error([error.message, error.detail].filter(Boolean).join("\n"));
    process.exitCode = 1;
  }
}
