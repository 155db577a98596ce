package api

import (
	"context"
	"io"
	"time"
)

// Operations on the segments of the audit log.
var (
	ListSegments = Operation[struct{}, []Segment]{"GET /audit/segments"}
	GetSegment   = Operation[SegmentRequest, Stream]{"GET /audit/segments/{name}"}
)

// A Segment is a file with a part of the audit log that has left the store.
type Segment struct {
	Name    string    `json:"name"` // of the file
	First   int64     `json:"first"`
	Last    int64     `json:"last"`
	Begin   time.Time `json:"begin"` // time of the first entry
	End     time.Time `json:"end"`   // time of the last entry
	Root    string    `json:"root"`  // base64, of the log up to the last entry
	Present bool      `json:"present"`
}

// A Gap is a range of entries that could not be read, because the file of the segment
// that has them was moved away.
type Gap struct {
	First   int64  `json:"first"`
	Last    int64  `json:"last"`
	Segment string `json:"segment"` // the name of the file
}

// A SegmentRequest asks for the file of a segment.
type SegmentRequest struct {
	Name string `path:"name" json:"-"`
}

// Segments lists the segments of the audit log.
func (c *Client) Segments(ctx context.Context) ([]Segment, error) {
	return ask(ctx, c, ListSegments, struct{}{})
}

// Segment writes the file of a segment to w.
func (c *Client) Segment(ctx context.Context, name string, w io.Writer) error {
	return receive(ctx, c, GetSegment, SegmentRequest{name}, "the segment", w)
}

// MissingEvents tells which of the entries that the filter chooses are left out by
// [Client.Events].
func (c *Client) MissingEvents(ctx context.Context, filter EventFilter) ([]Gap, error) {
	return ask(ctx, c, MissingEvents, filter)
}
