package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
)

// A report is what was measured, on what.
type report struct {
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Figures []figure `json:"figures"`
}

// A figure is something that was measured, once a round or once in all.
type figure struct {
	What   string `json:"what"`
	Unit   string `json:"unit,omitempty"` // none: a ratio
	Values sample `json:"values"`
	// AtMost is its bound, 0 where it has none. Least is what it would be in a
	// perfect world, where the chart begins.
	AtMost float64 `json:"at_most,omitempty"`
	Least  float64 `json:"least,omitempty"`
}

// met reports whether the median keeps within the bound.
func (f figure) met() bool { return f.Values.median() <= f.AtMost }

// share returns how much of what its bound allows a value takes.
func (f figure) share(value float64) float64 { return (value - f.Least) / (f.AtMost - f.Least) }

// show writes a value with the digits that mean something.
func (f figure) show(value float64) string {
	digits := 3
	switch {
	case f.Unit != "" && value >= 100:
		digits = 0
	case f.Unit != "":
		digits = 1
	}
	text := fmt.Sprintf("%.*f", digits, value)
	if f.Unit != "" {
		text += " " + f.Unit
	}
	return text
}

// A sample is a figure of several rounds.
type sample []float64

func (s sample) median() float64 { return s.quantile(0.5) }
func (s sample) low() float64    { return slices.Min(s) }
func (s sample) high() float64   { return slices.Max(s) }

// quantile returns the value that q of all do not exceed.
func (s sample) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// print writes the table.
func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%v\nmedians of %d rounds, with their range, where there is one\n\n", r.Machine, r.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	defer t.Flush()
	fmt.Fprintln(t, "what\tmedian\trange\tbound\t")
	for _, f := range r.Figures {
		spread, bound, verdict := "", "", ""
		if len(f.Values) > 1 {
			spread = f.show(f.Values.low()) + " to " + f.show(f.Values.high())
		}
		if f.AtMost > 0 {
			bound, verdict = f.show(f.AtMost), "not met"
			if f.met() {
				verdict = "met"
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.What, f.show(f.Values.median()), spread, bound, verdict)
	}
}

func (r report) write(file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o644)
}

func readReport(file string) (r report, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	for _, f := range r.Figures {
		if len(f.Values) == 0 {
			return r, fmt.Errorf("%s: %q has no values", file, f.What)
		}
	}
	return r, nil
}
