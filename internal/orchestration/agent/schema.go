package agent

import (
	"encoding/json"

	"github.com/tutti-run/tutti/internal/orchestration/schema"
)

// CheckSchema returns why a JSON Schema cannot be used for a synthesis, nil when
// it can. See [schema.Check].
func CheckSchema(raw json.RawMessage) error { return schema.Check(raw) }
