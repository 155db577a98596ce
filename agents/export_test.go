package agents

// ParseScope is parseScope, for tests.
var ParseScope = parseScope
