package limit

// A line is connections in the order in which they joined it. Joining and leaving allocate
// nothing: each request on a connection does both. The zero line of [everybody] is empty.
type line struct {
	kind        lineKind
	first, last *conn
	n           int
}

// A lineKind is what lines are of which a connection is in one at most.
type lineKind uint8

const (
	everybody lineKind = iota // the idle connections of a listener
	ofHolder                  // the idle or the busy connections of an address
	lineKinds
)

// A link is a connection's place in a line.
type link struct {
	in            *line
	before, after *conn
}

func (q *line) join(c *conn) {
	c.links[q.kind] = link{in: q, before: q.last}
	if q.last == nil {
		q.first = c
	} else {
		q.last.links[q.kind].after = c
	}
	q.last = c
	q.n++
}

// leaveLine takes c out of its line of a kind, if it is in one.
func (c *conn) leaveLine(k lineKind) {
	at := c.links[k]
	if at.in == nil {
		return
	}
	if at.before == nil {
		at.in.first = at.after
	} else {
		at.before.links[k].after = at.after
	}
	if at.after == nil {
		at.in.last = at.before
	} else {
		at.after.links[k].before = at.before
	}
	at.in.n--
	c.links[k] = link{}
}
