// A classifier's counts at any threshold. Where concepts exclude each other an answer is the best score of an image,
// and counts when it is as high as the threshold; else every score that high is one.

const NO_ANSWER = "no answer";

function countingScores() {
  const { exclusive, first_score, label, score, first_actual, actual, best, sure } = unpackedColumns();
  const concepts = data.concepts.length;
  const images = data.images.length;
  const is = new Uint8Array(images * concepts);
  const labelled = new Array(concepts).fill(0);
  for (let image = 0; image < images; image++)
    for (let row = first_actual[image]; row < first_actual[image + 1]; row++) {
      is[image * concepts + actual[row]] = 1;
      labelled[actual[row]] += 1;
    }
  const isOf = (image, concept) => is[image * concepts + concept] === 1;

  // Each (image, concept, score) that is as high as a threshold.
  function each(asked, then) {
    const threshold = Math.fround(asked);
    for (let image = 0; image < images; image++)
      for (let row = first_score[image]; row < first_score[image + 1]; row++)
        if (score[row] >= threshold) then(image, label[row], score[row]);
  }

  function answers(asked, then) {
    if (!exclusive) return each(asked, then);
    const threshold = Math.fround(asked);
    for (let image = 0; image < images; image++) if (sure[image] >= threshold) then(image, best[image], sure[image]);
  }

  function tallied(asked, through) {
    const [right, wrong] = [new Array(concepts).fill(0), new Array(concepts).fill(0)];
    through(asked, (image, concept) => ((isOf(image, concept) ? right : wrong)[concept] += 1));
    return labelled.map((count, concept) => rated(count, right[concept], wrong[concept]));
  }

  function matrix(asked) {
    if (!exclusive) return null;
    const columns = asked > 0 ? [...data.concepts, NO_ANSWER] : data.concepts;
    const counts = data.concepts.map(() => new Array(columns.length).fill(0));
    const threshold = Math.fround(asked);
    for (let image = 0; image < images; image++)
      counts[actual[first_actual[image]]][sure[image] >= threshold ? best[image] : concepts] += 1;
    return { rows: data.concepts, columns, cells: counts, actual: "labelled", said: "answered" };
  }

  // Images by how sure the answer is: the surest mistakes first, of what is right the least sure.
  const sorted = (found, right = false) => found.sort((one, other) => (right ? -1 : 1) * (other.sure - one.sure));

  function behindCell(asked, row, column) {
    const threshold = Math.fround(asked);
    const found = [];
    for (let image = 0; image < images; image++) {
      if (actual[first_actual[image]] !== row) continue;
      const said = sure[image] >= threshold ? best[image] : concepts;
      if (said === column) found.push({ image, sure: sure[image] });
    }
    return sorted(found, row === column);
  }

  function behindCount(asked, concept, name) {
    const said = new Map();
    answers(asked, (image, its, value) => its === concept && said.set(image, value));
    if (name !== "False Negatives") {
      const right = name === "True Positives";
      const those = [...said].filter(([image]) => isOf(image, concept) === right);
      return sorted(those.map(([image, value]) => ({ image, sure: value })), right);
    }
    const found = [];
    for (let image = 0; image < images; image++)
      if (isOf(image, concept) && !said.has(image)) found.push({ image, sure: sure[image] });
    return sorted(found);
  }

  // The concepts of an image, and its best scores.
  function told(asked, { image }) {
    const its = actual.subarray(first_actual[image], first_actual[image + 1]);
    const names = Array.from(its, (concept) => shortened(data.concepts[concept], 24));
    const rows = [];
    for (let row = first_score[image]; row < first_score[image + 1]; row++) rows.push([score[row], label[row]]);
    if (exclusive && !rows.length) rows.push([sure[image], best[image]]);
    rows.sort((one, other) => other[0] - one[0]);
    const said = rows.slice(0, 3).map(([value, concept]) => `${shortened(data.concepts[concept], 24)} ${two(value)}`);
    return `is ${names.join(", ") || "nothing"}; said ${said.join(", ") || "nothing"}`;
  }

  // Each concept against all others, as the curves have it.
  const dots = (asked) => {
    const known = asked >= data.lowest && !(exclusive && asked === 0); // there no threshold decides
    const rows = tallied(asked, each);
    return (concept) => {
      const row = concept < 0 ? summed(rows) : rows[concept];
      const negatives = concept < 0 ? images * concepts - row["Total Labeled"] : images - row["Total Labeled"];
      if (!known) return { recall: null, precision: null, fall: null };
      return { recall: row.Recall, precision: row.Precision, fall: share(row["False Positives"], negatives) };
    };
  };
  return {
    rows: (asked) => tallied(asked, answers), matrix, behindCell, behindCount, drawnOver: () => [], told, dots,
  };
}
