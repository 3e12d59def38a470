package workflow

import "unicode/utf8"

// nearest returns the name that a word was most likely meant to be, "" when none
// is like it.
func nearest(word string, names []string) string {
	best, least := "", max(1, min(utf8.RuneCountInString(word)/2, 3))+1
	if len(word) > 100 {
		return ""
	}
	for _, name := range names {
		if d := distance([]rune(word), []rune(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many characters must be put in, taken out or replaced to make
// b of a.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			changed := diagonal
			if x != y {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// hint says which name was most likely meant, as the end of a detail.
func hint(word string, names []string) string {
	if name := nearest(word, names); name != "" {
		return "; perhaps " + name + " is meant"
	}
	return ""
}
