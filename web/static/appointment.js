// Step 4: 是 is confirmed in a dialog, and a township narrows the list of schools.

import { ask } from "./site.js";

const indigenous = document.getElementById("indigenous");
const confirmed = document.getElementById("indigenous_confirmed");
const township = document.getElementById("township");
const school = document.getElementById("school");

function showConfirm() {
  document.getElementById("confirm").hidden = indigenous.value !== "yes";
}

indigenous.addEventListener("change", async () => {
  confirmed.checked = false;
  if (indigenous.value === "yes") {
    confirmed.checked = await ask(indigenous.dataset.ask);
    if (!confirmed.checked) {
      indigenous.value = "no";
    }
  }
  showConfirm();
});

function narrow() {
  const kept = school.value;
  for (const [name, options] of groups) {
    options.remove();
    if (!township.value || township.value === name) {
      school.append(options);
    }
  }
  school.value = kept;
  if (school.selectedIndex < 0) {
    school.value = "";
  }
}

const groups = [...school.querySelectorAll("optgroup")].map((group) => [
  group.label,
  group,
]);
for (const [name] of groups) {
  township.append(new Option(name, name));
}
township.value = school.selectedOptions[0]?.closest("optgroup")?.label ?? "";
township.addEventListener("change", narrow);
document.getElementById("township-field").hidden = false;
narrow();
showConfirm();
