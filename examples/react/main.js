// A page of React with a session, built by Vite:
//
//     ./dev npm                                   # in the project: packs the client
//     npm install && npm install ../../dist/holdfast-*.tgz && npm run build
//
// and served by a gateway: pages = "examples/react/dist".

import { createElement as h, StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useSession } from "./useSession.js";

function Orders({ user }) {
  const [orders, setOrders] = useState([]);
  const { session, state } = useSession("/live", {
    user,
    onBegan: () => setOrders([]),
    onData: ({ d }) => setOrders((before) => [...before, d.state]),
  });
  return h(
    "main",
    null,
    h("output", null, state),
    h("ol", null, ...orders.map((text, index) => h("li", { key: index }, text))),
    h("button", { onClick: () => session.command("order") }, "Order"),
  );
}

function Page() {
  const [shown, setShown] = useState(true);
  return h(
    "div",
    null,
    h("input", { type: "checkbox", checked: shown, onChange: () => setShown(!shown) }),
    shown && h(Orders, { user: "anna" }),
  );
}

createRoot(document.getElementById("root")).render(h(StrictMode, null, h(Page)));
