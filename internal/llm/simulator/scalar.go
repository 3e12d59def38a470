package simulator

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// integer returns a whole number's keyword, other where it is not one.
func (s flat) integer(key string, other int) int {
	f, ok := s[key].(float64)
	if !ok || f < 0 {
		return other
	}
	return int(min(math.Ceil(f), maxValueBytes+1)) // beyond it all is too large
}

// number appends the number nearest to zero that s allows, or the nth above
// it; to approve, the largest where there is one.
func (b *builder) number(s flat, whole bool, nth int) error {
	lo, hi := s.bounds(whole)
	step := 1.0
	if m, ok := s["multipleOf"].(float64); ok && m > 0 {
		step = m
		if whole && m != math.Trunc(m) {
			step = wholeMultiple(m)
		}
	}
	_, stepped := s["multipleOf"]
	stepped = stepped || whole
	if stepped { // to the grid
		lo, hi = math.Ceil(lo/step)*step, math.Floor(hi/step)*step
	}
	v := min(max(0, lo), hi)
	if b.approve {
		v = hi
		if math.IsInf(hi, 1) {
			v = max(step, lo)
		}
	}
	if next := v + float64(nth)*step; next <= hi {
		v = next
	}
	if lo > hi || math.IsInf(v, 0) || math.IsNaN(v) {
		return fmt.Errorf("%w: no number is within its bounds", errSchema)
	}
	if stepped && step != math.Trunc(step) { // 0.30000000000000004 is no multiple of 0.1
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	}
	return b.literal(v)
}

// bounds of a number, both included.
func (s flat) bounds(whole bool) (lo, hi float64) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if v, ok := s["minimum"].(float64); ok {
		lo = v
	}
	if v, ok := s["maximum"].(float64); ok {
		hi = v
	}
	above, hasAbove := s["exclusiveMinimum"].(float64)
	below, hasBelow := s["exclusiveMaximum"].(float64)
	gap := 1.0 // from an excluded bound
	if hasAbove && hasBelow && !whole {
		gap = min(gap, (below-above)/4)
	}
	if hasAbove {
		lo = max(lo, after(above, hi, gap, whole))
	}
	if hasBelow {
		hi = min(hi, -after(-below, -lo, gap, whole))
	}
	return lo, hi
}

// after returns a number above v: the next whole one, or one no further than
// gap away and no further than half the way to the limit.
func after(v, limit, gap float64, whole bool) float64 {
	if whole {
		return math.Floor(v) + 1
	}
	if limit > v && !math.IsInf(limit, 0) {
		gap = min(gap, (limit-v)/2)
	}
	return v + gap
}

// wholeMultiple is the least whole multiple of m, as far as one is near.
func wholeMultiple(m float64) float64 {
	for k := 1.0; k <= 1000; k++ {
		if v := k * m; math.Abs(v-math.Round(v)) < 1e-9 && math.Round(v) > 0 {
			return math.Round(v)
		}
	}
	return math.Ceil(m)
}

// Values of the formats that a schema may ask for.
var formats = map[string]string{
	"date-time":     "2026-01-02T03:04:05Z",
	"date":          "2026-01-02",
	"time":          "03:04:05Z",
	"duration":      "PT1H",
	"email":         "someone@example.com",
	"hostname":      "example.com",
	"ipv4":          "192.0.2.1",
	"ipv6":          "2001:db8::1",
	"uri":           "https://example.com/",
	"uri-reference": "/simulated",
	"uuid":          "00000000-0000-4000-8000-000000000000",
	"json-pointer":  "/simulated",
	"regex":         "simulated",
}

// text appends a string: of the format asked for, else the property's name in
// words, cut or filled up to the length allowed (in characters, as schemas count).
func (b *builder) text(s flat, name string, nth int) error {
	format, _ := s["format"].(string)
	text, ok := formats[format]
	if !ok && name == "feedback" && b.feedback != "" {
		text = b.feedback
	} else if !ok {
		text = simulated + b.mark
		if name = clip(strings.ReplaceAll(name, "_", " "), 60); name != "" {
			text += " " + name
		}
		if nth > 0 {
			text = strconv.Itoa(nth) + " " + text
		}
	}
	least, most := s.integer("minLength", 0), s.integer("maxLength", math.MaxInt)
	if least > most || least > maxValueBytes {
		return fmt.Errorf("%w: no string is as long as it asks for", errSchema)
	}
	if n := utf8.RuneCountInString(text); n < least {
		text = fill(text+" ", least+len(text)-n)
	} else if n > most {
		text = string([]rune(text)[:most])
	}
	return b.quote(text)
}
