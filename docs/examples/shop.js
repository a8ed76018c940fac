// A shop of one page: what it tells the tracker stands in the lines that begin with `tell`.
const PRODUCTS = [
  { product_id: "SKU-1", product_name: "Trail Runner 2", category: "shoes", price: 129.9 },
  { product_id: "SKU-2", product_name: "Summit Jacket", category: "jackets", price: 249 },
  { product_id: "SKU-3", product_name: "Wool Socks", category: "socks", price: 18.5 },
];
// Calls wait in an array until the tracker is there; without one they wait for ever, and the shop works all the same.
const tell = (...call) => (window.clickstream ??= []).push(call);
const isFile = location.protocol === "file:"; // which may not change its path: the view stands behind the # instead
const here = () => (isFile ? location.hash.slice(1) || "/" : location.pathname);
const cart = [];
const view = document.getElementById("view");
const total = () => Math.round(cart.reduce((sum, item) => sum + item.price * item.quantity, 0) * 100) / 100;
const count = () => (document.getElementById("count").textContent = cart.length);

function card(product, label, onClick) {
  const node = document.getElementById("product").content.cloneNode(true);
  node.querySelector("h2").textContent = product.product_name;
  node.querySelector("p").textContent = `$${product.price.toFixed(2)}`;
  node.querySelector("button").textContent = label;
  node.querySelector("button").addEventListener("click", onClick);
  return node;
}

function add(product) {
  cart.push({ ...product, quantity: 1 });
  count();
  tell("addToCart", { ...product, quantity: 1, cart_value: total() });
}

function remove(item) {
  cart.splice(cart.indexOf(item), 1);
  count();
  tell("removeFromCart", { ...item, cart_value: total() });
  show();
}

function button(label, onClick) {
  const node = document.createElement("button");
  node.textContent = label;
  node.addEventListener("click", onClick);
  return node;
}

function checkout() {
  tell("checkout", { cart_value: total(), items: [...cart] });
  go("/checkout");
}

function pay() {
  tell("purchase", { order_id: `o-${Date.now()}`, total: total(), currency: "USD", items: [...cart] });
  cart.length = 0;
  count();
  go("/thanks");
}

function show() {
  const path = here();
  if (isFile) tell("set", { page: path }); // else every event would name the directory that the file is in
  document.title = path === "/cart" ? "Cart" : path === "/checkout" ? "Checkout" : path === "/thanks" ? "Thank you" : "Trail & Peak";
  if (path === "/cart") view.replaceChildren(...cart.map((item) => card(item, "Remove", () => remove(item))), button("Check out", checkout));
  else if (path === "/checkout") view.replaceChildren(button("Pay", pay));
  else if (path === "/thanks") view.replaceChildren("Thank you!");
  else view.replaceChildren(...PRODUCTS.map((product) => card(product, "Add to cart", () => add(product))));
}

function go(path) {
  history.pushState(null, "", isFile ? `#${path}` : path); // the tracker sees a new path and records the page view
  show();
  if (isFile) tell("page", { page: path });
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-link]");
  if (!link) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
document.getElementById("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = new FormData(event.target).get("query");
  const found = PRODUCTS.filter((product) => product.product_name.toLowerCase().includes(query.toLowerCase()));
  tell("search", query, found.length);
  view.replaceChildren(...found.map((product) => card(product, "Add to cart", () => add(product))));
});
addEventListener("popstate", show);
show();
loadTracker();

function loadTracker() {
  const tag = document.importNode(document.getElementById("tracker").content, true).firstElementChild;
  const endpoint = new URLSearchParams(location.search).get("endpoint");
  // A link must not make this page run a stranger's script: only an API on this machine can be chosen.
  if (/^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?\/?$/.test(endpoint)) tag.src = `${endpoint.replace(/\/$/, "")}/tracker.js`;
  else if (endpoint) console.warn(`endpoint=${endpoint} is not on this machine: using ${tag.src}`);
  document.head.append(tag);
}
