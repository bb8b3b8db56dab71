import { absolutePath, integer, list, maybe, object, otherwise, text } from "./check.js";

/** Seconds that are still a u32 of milliseconds. */
const longestTimeout = 4_294_967;

const hooks = otherwise(
  list(
    object({
      path: absolutePath,
      args: otherwise(list(text), []),
      env: otherwise(list(text), []),
      timeout: maybe(integer(1, longestTimeout)),
    }),
  ),
  [],
);

const fields = {
  prestart: hooks,
  createRuntime: hooks,
  createContainer: hooks,
  startContainer: hooks,
  poststart: hooks,
  poststop: hooks,
};

export const hookNames = Object.keys(fields);

/** `hooks` of the OCI runtime specification (config.md, "POSIX-platform Hooks"). */
export const checkHooks = object(fields);

export type HooksSpec = ReturnType<typeof checkHooks>;
export type HookName = keyof HooksSpec;
export type HookSpec = HooksSpec[HookName][number];

/** What is kept of a container for hooks that come when its config.json may have changed, or be gone. */
export const checkLaterHooks = object({
  ociVersion: text,
  annotations: list((value, path) => {
    const [name, content] = list(text)(value, path);
    return [name ?? "", content ?? ""] as const;
  }),
  poststart: hooks,
  poststop: hooks,
});

export type LaterHooks = ReturnType<typeof checkLaterHooks>;
