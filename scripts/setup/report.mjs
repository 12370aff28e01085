// @ts-check
// How set-up talks: one line a step, with the time that it took, and errors that are sentences.

/** An error that is the user's to read: its message is a sentence, its detail what a failed command printed. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {string} [detail]
   */
  constructor(message, detail = "") {
    super(message);
    this.detail = detail;
  }
}

/** @param {SetupError} error */
export function explain(error) {
  return [
    `set-up: ${error.message}`,
    ...(error.detail ? error.detail.split("\n").map((line) => `  | ${line}`) : []),
  ].join("\n");
}

export class Report {
  steps = 0;
  started = performance.now();

  /** @param {string} text */
  say(text) {
    console.log(`set-up: ${text}`);
  }

  /**
   * @template T
   * @param {string} what what is being done, and why
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async step(what, work) {
    this.steps++;
    this.say(`${what} ...`);
    const before = performance.now();
    const result = await work();
    console.log(`        done in ${seconds(performance.now() - before)}`);
    return result;
  }

  done() {
    const took = seconds(performance.now() - this.started);
    this.say(this.steps === 0 ? `everything is in place (${took})` : `ready (${took})`);
  }
}

/** @param {number} ms */
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
