// The sessions of this browser: one for each tab, and those of closed tabs.

const KEY = "holdfast.term.";
const TAB = "holdfast.term.tab";

/** The session that this tab resumes: its own, or one that no other tab has. */
export async function held(): Promise<{ sid: string; token: string } | undefined> {
  const own = sessionStorage.getItem(TAB);
  const sids = Object.keys(localStorage)
    .filter((key) => key.startsWith(KEY))
    .map((key) => key.slice(KEY.length));
  for (const sid of own && sids.includes(own) ? [own] : sids) {
    if (await claim(sid)) return { sid, token: localStorage.getItem(KEY + sid) ?? "" };
  }
  return undefined;
}

/** Store a session's token, so that this browser can resume it after it was closed. */
export function keep(sid: string, token: string): void {
  localStorage.setItem(KEY + sid, token);
  if (sessionStorage.getItem(TAB) === sid) return;
  sessionStorage.setItem(TAB, sid);
  void claim(sid);
}

export function forget(sid: string): void {
  localStorage.removeItem(KEY + sid);
  sessionStorage.removeItem(TAB);
}

const claimed = new Set<string>();

/** Whether no other tab has this session. No other tab gets it while this one is open. */
async function claim(sid: string): Promise<boolean> {
  if (claimed.has(sid) || !navigator.locks) return true;
  return new Promise((resolve) => {
    void navigator.locks.request(KEY + sid, { ifAvailable: true }, (lock) => {
      if (!lock) return void resolve(false);
      claimed.add(sid);
      resolve(true);
      return new Promise(() => undefined);
    });
  });
}
