package audit_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/brevet-ca/brevet/storage/audit"
)

// FuzzReadExport: an export that is read whole, written again, is the same lines.
func FuzzReadExport(f *testing.F) {
	var lines bytes.Buffer
	for i := range 3 {
		e := event(i)
		e.Seq = int64(i)
		line, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	f.Add(lines.Bytes())
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var again [][]byte
		for e, err := range audit.ReadExport(bytes.NewReader(text)) {
			if err != nil {
				return
			}
			if n := len(again); n > 0 && !bytes.Contains(e.JSON(), []byte(`"seq":`)) {
				t.Errorf("event %d has no position", n)
			}
			again = append(again, e.JSON())
		}
		var given [][]byte
		for line := range bytes.Lines(text) {
			given = append(given, bytes.TrimSpace(line))
		}
		if !bytes.Equal(bytes.Join(given, nil), bytes.Join(again, nil)) {
			t.Errorf("%q was read as %q", text, again)
		}
	})
}
