// A hook for React: one session for as long as a component is shown.
//
//     const { session, state } = useSession("/live", { user, token, onData: ({ p, d }) => ... });

import { useEffect, useRef, useState } from "react";
import { Session } from "holdfast";

export function useSession(url, { user, token, onData, onBegan } = {}) {
  const [session, setSession] = useState(null);
  const [state, setState] = useState("offline");
  const newest = useRef({});
  newest.current = { token, onData, onBegan }; // they may change without another session

  useEffect(() => {
    const made = new Session(new URL(url, location.href.replace(/^http/, "ws")).href, {
      user,
      ...(token ? { token: () => newest.current.token() } : {}),
    });
    made.on("state", ({ name }) => setState(name));
    made.on("data", (message) => newest.current.onData?.(message));
    made.on("began", (message) => newest.current.onBegan?.(message));
    setSession(made);
    return () => made.close(); // it is resumed when the component is shown again
  }, [url, user]);

  return { session, state };
}
