/** The version, from package.json: put in by the bundler, or read where the sources run. */
import manifest from "../package.json" with { type: "json" };

export const VERSION: string = manifest.version;
