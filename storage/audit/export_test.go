package audit

import (
	"bytes"
	"encoding/json"

	"golang.org/x/mod/sumdb/tlog"
)

// For tests of what CheckProof does, step by step.
var (
	ParseProof     = parseProof
	ProveInclusion = proveInclusion
	CheckInclusion = checkInclusion
	AfterIn        = after
)

// SegmentOf reads events, one JSON document a line, the first at position 0. It returns the
// checkpoint of a log that has these lines, and the events as they are written.
func SegmentOf(lines []byte) (c Checkpoint, again []byte) {
	var t tree
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		e, err := parseEvent(line)
		if err == nil && e.Seq == t.size {
			again = append(appendEvent(again, &e), '\n')
		}
		t.add(tlog.RecordHash(line))
	}
	return Checkpoint{"ca.example.test/audit", t.size, t.root()}, again
}

// SegmentHeader returns the first line of a segment that begins the log.
func SegmentHeader(checkpoint string) []byte {
	line, err := json.Marshal(header{Form: segmentForm, Before: []tlog.Hash{}, Checkpoint: checkpoint})
	if err != nil {
		panic(err)
	}
	return append(line, '\n')
}
