package audit

// For tests of what CheckProof does, step by step.
var (
	ParseProof     = parseProof
	ProveInclusion = proveInclusion
	CheckInclusion = checkInclusion
)
