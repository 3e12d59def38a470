package orchestration

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Duration is written in JSON as Go writes one: "90s".
type Duration time.Duration

// MarshalJSON writes the duration as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a string such as "1h30m".
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is a string such as \"90s\": %w", err)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	if parsed == 0 {
		parsed = -1 // which no check lets pass: 0 is what was not given
	}
	*d = Duration(parsed)
	return nil
}
