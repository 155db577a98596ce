// Answers each line of standard input, a call of isAuthorized, by Cedar's own implementation.
const cedar = require(process.argv[2] + "/@cedar-policy/cedar-wasm/nodejs");
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
	const answer = cedar.isAuthorized(JSON.parse(line));
	if (answer.type !== "success") {
		console.log(JSON.stringify({ failure: JSON.stringify(answer.errors) }));
		return;
	}
	const { decision, diagnostics } = answer.response;
	console.log(JSON.stringify({ decision, reasons: diagnostics.reason, errors: diagnostics.errors.map((e) => e.policyId) }));
});
