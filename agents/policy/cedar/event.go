package cedar

import (
	"encoding/json"
	"fmt"

	"github.com/brevet-ca/brevet/storage/audit"
)

// ParseEvent reads an entry of the audit log, as an export and the operators' API have it.
func ParseEvent(raw []byte) (*audit.Event, error) {
	var e audit.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("reading an entry of the log: %w", err)
	}
	return &e, nil
}
