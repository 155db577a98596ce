"use strict";

// The secret of the link stands after the number sign, which browsers send to nobody.
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

const about = document.getElementById("about");
const button = document.getElementById("register");

const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const encode = (octets) =>
  btoa(String.fromCharCode(...new Uint8Array(octets))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

async function register(wanted) {
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: decode(wanted.challenge),
      rp: { id: wanted.site, name: wanted.authority },
      user: { id: decode(wanted.user), name: wanted.name, displayName: wanted.name },
      pubKeyCredParams: wanted.algorithms.map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
      attestation: "none",
    },
  });
  return post("/operator/passkey", {
    token,
    client_data: encode(made.response.clientDataJSON),
    attestation: encode(made.response.attestationObject),
  });
}

async function begin() {
  if (!token) throw new Error("Open the link as it was printed, with what follows the number sign.");
  if (!window.PublicKeyCredential) throw new Error("This browser has no passkeys, or does not trust this server's certificate.");
  const wanted = await post("/operator/passkey/begin", { token });
  about.textContent = `Register a passkey for the operator ${wanted.name} of ${wanted.authority}.`;
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const done = await register(wanted);
      button.hidden = true;
      about.textContent = `The passkey is registered. ${done.operator} has ${done.passkeys} now. You may close this page.`;
    } catch (err) {
      button.disabled = false;
      about.textContent = `Not registered: ${err.message}`;
    }
  });
}

begin().catch((err) => { about.textContent = err.message; });
